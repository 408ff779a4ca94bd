//! Takes claimed regions by name, and lists them.

use std::sync::Arc;

use super::claim::{State, claim_one, entries};
use crate::region::{RegionInner, RegionKind};
use crate::{Error, ErrorKind, Result, sys};

/// Takes a region by name; `wanted` is the type to accept, `None` accepts any.
pub(crate) fn take(name: &str, wanted: Option<&str>) -> Result<(Arc<RegionInner>, RegionKind)> {
    let mut entries = entries()?;
    let tried = || format!("cannot inherit the region {name:?}");
    let Some(entry) = entries.get_mut(name) else {
        let why = if sys::is_privileged() {
            "a setuid program inherits no regions".to_owned()
        } else if entries.is_empty() {
            let message = format!("{}: this process inherited no regions", tried());
            let advice =
                "if another program started this one, that must name the region on its command, after any env_clear";
            return Err(Error::advised(ErrorKind::NotInherited, message, advice));
        } else {
            format!("this process inherited only {:?}", entries.keys().collect::<Vec<_>>())
        };
        return Err(Error::new(ErrorKind::NotInherited, format!("{}: {why}", tried())));
    };
    let (kind, has) = (entry.string.kind, entry.string.kind.type_name());
    if let Some(wanted) = wanted.filter(|wanted| *wanted != has) {
        let message = format!("{} as a {wanted}: it is {kind}", tried());
        return Err(Error::advised(ErrorKind::WrongKind, message, format!("use {has}::inherited")));
    }
    let region = match std::mem::replace(&mut entry.state, State::Taken) {
        State::Available(region) => Ok(region),
        State::Taken => {
            let message = format!("{}: an earlier call took it", tried());
            Err(Error::advised(ErrorKind::AlreadyTaken, message, "clone that handle"))
        }
        // The system may allow now what it refused at the claim.
        State::Missing(error) => {
            let again = if error.raw_os_error().is_some() { claim_one(name, entry.string, true) } else { Err(error) };
            again.map(Arc::new).inspect_err(|error| entry.state = State::Missing(error.clone()))
        }
    };
    Ok((region?, kind))
}

/// A region that this process inherited; from [`inherited`].
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Inherited {
    /// The name on the parent's command.
    pub name: String,
    /// What a holder can do with it.
    pub kind: RegionKind,
    /// Its size in bytes.
    pub size: u64,
    /// Whether it can be taken.
    pub state: InheritedState,
}

/// Whether an [`Inherited`] region can be taken.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum InheritedState {
    /// The next call that asks for its name gets it.
    Available,
    /// An earlier call took it.
    Taken,
    /// It can't be taken; the error says why.
    Missing(Error),
}

/// Lists the regions that this process inherited, by name.
///
/// # Errors
/// [`ErrorKind::Malformed`]: `HEIRLOOM_REGIONS` is malformed.
///
/// ```
/// for region in heirloom::inherited()? {
///     println!("{}: {} bytes, {}", region.name, region.size, region.kind);
/// }
/// # Ok::<(), heirloom::Error>(())
/// ```
pub fn inherited() -> Result<Vec<Inherited>> {
    let entries = entries()?;
    let listed = entries.iter().map(|(name, entry)| Inherited {
        name: name.clone(),
        kind: entry.string.kind,
        size: entry.string.size,
        state: match &entry.state {
            State::Available(_) => InheritedState::Available,
            State::Taken => InheritedState::Taken,
            State::Missing(error) => InheritedState::Missing(error.clone()),
        },
    });
    Ok(listed.collect())
}
