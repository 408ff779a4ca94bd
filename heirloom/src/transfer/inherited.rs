//! Takes claimed regions and ends of channels by name, and lists the regions.

use std::sync::Arc;

use super::claim::{Entries, Entry, State, claim_region, entries};
use super::wanted::{PLAIN, is_accepted};
use crate::channel::{End, Role};
use crate::region::{RegionInner, RegionKind};
use crate::{Error, ErrorKind, Result, sys};

/// Takes a region by name; `wanted` is the type to accept, `None` accepts those of [`AnyRegion`](crate::AnyRegion).
pub(crate) fn take(name: &str, wanted: Option<&str>) -> Result<(Arc<RegionInner>, RegionKind)> {
    let mut entries = entries()?;
    let tried = format!("cannot inherit the region {name:?}");
    let (string, state) = match entry(&mut entries, &tried, name)? {
        Entry::Region(string, state) => (*string, state),
        Entry::End(end, _) => {
            let role = end.role;
            return Err(wrong_kind(
                &tried,
                wanted.unwrap_or("region"),
                &format!("the {role} of a channel"),
                role.type_name(),
            ));
        }
    };
    let (kind, has) = (string.kind, string.kind.type_name());
    if !is_accepted(kind, wanted) {
        return Err(wrong_kind(&tried, wanted.unwrap_or(PLAIN), kind.as_str(), has));
    }
    let region = match std::mem::replace(state, State::Taken) {
        State::Available(region) => Ok(region),
        State::Taken => Err(already_taken(&tried, "clone that handle")),
        // The system may allow now what it refused at the claim.
        State::Missing(error) => {
            let again = if error.raw_os_error().is_some() { claim_region(name, string, true) } else { Err(error) };
            again.inspect_err(|error| *state = State::Missing(error.clone()))
        }
    };
    Ok((region?, kind))
}

/// Takes an end of a channel by name.
pub(crate) fn take_end(name: &str, wanted: Role) -> Result<End> {
    let mut entries = entries()?;
    let tried = format!("cannot inherit the {wanted} {name:?}");
    let wanted_type = wanted.type_name();
    match entry(&mut entries, &tried, name)? {
        Entry::End(string, state) if string.role == wanted => match std::mem::replace(state, State::Taken) {
            State::Available(parts) => match End::view(&parts) {
                Ok(view) => End::over(parts, view),
                // The memory may suffice for another attempt.
                Err(error) => {
                    *state = State::Available(parts);
                    Err(error)
                }
            },
            State::Taken => Err(already_taken(&tried, "an end belongs to one holder: pass that on")),
            State::Missing(error) => {
                *state = State::Missing(error.clone());
                Err(error)
            }
        },
        Entry::End(string, _) => {
            let has = string.role;
            Err(wrong_kind(&tried, wanted_type, &format!("the {has} of a channel"), has.type_name()))
        }
        Entry::Region(string, _) => {
            let kind = string.kind;
            Err(wrong_kind(&tried, wanted_type, &format!("a {kind} region"), kind.type_name()))
        }
    }
}

fn entry<'a>(entries: &'a mut Entries, tried: &str, name: &str) -> Result<&'a mut Entry> {
    if !entries.contains_key(name) {
        let why = if sys::is_privileged() {
            "a setuid program inherits no regions".to_owned()
        } else if entries.is_empty() {
            let message = format!("{tried}: this process inherited no regions");
            let advice =
                "if another program started this one, that must name the region on its command, after any env_clear";
            return Err(Error::advised(ErrorKind::NotInherited, message, advice));
        } else {
            format!("this process inherited only {:?}", entries.keys().collect::<Vec<_>>())
        };
        return Err(Error::new(ErrorKind::NotInherited, format!("{tried}: {why}")));
    }
    entries.get_mut(name).ok_or_else(|| Error::new(ErrorKind::NotInherited, tried))
}

fn wrong_kind(tried: &str, wanted: &str, is: &str, right: &str) -> Error {
    let message = format!("{tried} as a {wanted}: it is {is}");
    Error::advised(ErrorKind::WrongKind, message, format!("use {right}::inherited"))
}

fn already_taken(tried: &str, advice: &'static str) -> Error {
    Error::advised(ErrorKind::AlreadyTaken, format!("{tried}: an earlier call took it"), advice)
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

/// Lists the regions that this process inherited, by name. The ends of channels are not listed.
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
    let listed = entries.iter().filter_map(|(name, entry)| {
        let Entry::Region(string, state) = entry else { return None };
        let state = match state {
            State::Available(_) => InheritedState::Available,
            State::Taken => InheritedState::Taken,
            State::Missing(error) => InheritedState::Missing(error.clone()),
        };
        Some(Inherited { name: name.clone(), kind: string.kind, size: string.size, state })
    });
    Ok(listed.collect())
}
