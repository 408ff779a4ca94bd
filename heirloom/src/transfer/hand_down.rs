//! Names a region or the end of a channel on a command, the parent's side of inheritance.

use std::sync::Arc;

use super::claim::claim_quietly;
use super::end_string::EndString;
use super::export_string::ExportString;
use super::listed::Listed;
use super::variable::Variable;
use crate::channel::EndParts;
use crate::region::{AsRegion, RegionInner};
use crate::{Error, Result, sys};

/// Adds a region to the variable, and returns the region whose descriptor the child must inherit under its number.
pub(crate) fn hand_down(
    variable: &mut Variable,
    name: &str,
    region: &(impl AsRegion + ?Sized),
) -> Result<Arc<RegionInner>> {
    claim_quietly();
    let mut inner = Arc::clone(region.inner());
    let number = inner.memory.number();
    // A child claims a number only if it is listed once and is not one of its standard streams.
    if sys::is_standard(number) || variable.lists(number) {
        inner = Arc::new(inner.duplicate()?);
    }
    let string = ExportString::new(&inner.memory, &inner, region.kind())
        .map_err(|failure| Error::system(format_args!("cannot pass {inner} to a child"), failure))?;
    variable.push(name, Listed::Region(string))?;
    // Only now: on systems without seals, a region that was handed out can no longer be converted.
    inner.memory.hand_out();
    Ok(inner)
}

/// Adds an end of a channel to the variable. The child must inherit its descriptors under their numbers.
pub(crate) fn hand_down_end(variable: &mut Variable, name: &str, end: &EndParts) -> Result<()> {
    claim_quietly();
    let string = EndString::new(end).map_err(|failure| {
        Error::system(format_args!("cannot pass the {} of a channel to a child", end.role), failure)
    })?;
    variable.push(name, Listed::End(string))
}
