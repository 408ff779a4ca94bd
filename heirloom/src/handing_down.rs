//! Protocol one, the parent's side: a region and a name for it, put on a command.

use std::sync::Arc;

use crate::as_region::AsRegion;
use crate::export::ExportString;
use crate::inheritance::claim_quietly;
use crate::object::Object;
use crate::variable::Variable;
use crate::{Error, Result, sys};

/// Adds a region to the variable; what is returned is to be inherited under the number it has.
pub(crate) fn hand_down(variable: &mut Variable, name: &str, region: &(impl AsRegion + ?Sized)) -> Result<Arc<Object>> {
    claim_quietly();
    let mut object = Arc::clone(region.object());
    let number = object.memory.number();
    // The child claims a number only where it is listed once, and none that its own redirections may use.
    if sys::is_standard(number) || variable.lists(number) {
        object = Arc::new(object.another()?);
    }
    let string = ExportString::new(&object.memory, &object, region.kind())
        .map_err(|failure| Error::system(format_args!("cannot hand down {object}"), failure))?;
    variable.push(name, string)?;
    object.memory.hand_out();
    Ok(object)
}
