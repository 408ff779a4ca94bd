//! Claims everything that this process inherited by name, the child's side of inheritance.

#![allow(unsafe_code)]

use std::collections::BTreeMap;
use std::env;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use super::end_string::EndString;
use super::export_string::ExportString;
use super::exported::is_exported;
use super::fork::prepare_for_fork;
use super::listed::Listed;
use super::validate::{Mismatch, Named};
use super::variable::{self, VARIABLE};
use crate::channel::EndParts;
use crate::region::RegionInner;
use crate::sys::{self, Doorbell, Owned};
use crate::{Error, ErrorKind, Result};

/// What was claimed, by name.
pub(super) type Entries = BTreeMap<String, Entry>;

/// Everything that this process inherited.
struct Inheritance {
    entries: Mutex<Entries>,
    /// The error of a malformed variable.
    malformed: Option<Error>,
}

/// One pair of the variable.
pub(super) enum Entry {
    Region(ExportString, State<Arc<RegionInner>>),
    End(EndString, State<EndParts>),
}

pub(super) enum State<T> {
    Available(T),
    Taken,
    Missing(Error),
}

impl<T> From<Result<T>> for State<T> {
    fn from(claimed: Result<T>) -> Self {
        claimed.map_or_else(Self::Missing, Self::Available)
    }
}

static INHERITANCE: OnceLock<Inheritance> = OnceLock::new();

/// Claims every region that this process inherited: validates its descriptor, sets close-on-exec and takes ownership.
///
/// Call it on the first line of `main`. The calls of this library that need a claim make it themselves, but a child that
/// another part of the program starts before that inherits every region.
///
/// # Errors
/// [`ErrorKind::Malformed`]: `HEIRLOOM_REGIONS` is malformed. Valid entries are still claimed. A missing descriptor is an
/// error of the call that asks for its name, not of this one.
///
/// ```
/// fn main() -> Result<(), heirloom::Error> {
///     heirloom::claim()?;
///     // ...
///     Ok(())
/// }
/// ```
pub fn claim() -> Result<()> {
    claimed().map(drop)
}

/// Claims and ignores a malformed variable, which is an error only for a call that asks for a name.
///
/// Every call that brings a region into this process or starts a child calls it first, so that no other region can have
/// the number of an unclaimed one.
pub(crate) fn claim_quietly() {
    let _ = claimed();
}

fn claimed() -> Result<&'static Inheritance> {
    prepare_for_fork();
    let inheritance = INHERITANCE.get_or_init(Inheritance::claim);
    match &inheritance.malformed {
        None => Ok(inheritance),
        Some(error) => Err(error.clone()),
    }
}

/// Returns the claimed regions by name.
pub(super) fn entries() -> Result<MutexGuard<'static, Entries>> {
    Ok(claimed()?.entries.lock().unwrap_or_else(PoisonError::into_inner))
}

/// As `entries`, but claims nothing: `None` before the claim.
pub(super) fn claimed_entries() -> Option<MutexGuard<'static, Entries>> {
    Some(INHERITANCE.get()?.entries.lock().unwrap_or_else(PoisonError::into_inner))
}

impl Inheritance {
    fn claim() -> Self {
        let (pairs, malformed) = match env::var(VARIABLE) {
            // A setuid program must not trust its caller's environment.
            _ if sys::is_privileged() => (Vec::new(), None),
            Ok(value) => variable::parse(&value),
            Err(env::VarError::NotPresent) => (Vec::new(), None),
            Err(env::VarError::NotUnicode(_)) => {
                let error = Error::new(ErrorKind::Malformed, format!("cannot read {VARIABLE}: it is not UTF-8"));
                (Vec::new(), Some(error))
            }
        };
        let mut listed: BTreeMap<_, u32> = BTreeMap::new();
        for number in pairs.iter().flat_map(|(_, string)| string.numbers()) {
            *listed.entry(number).or_default() += 1;
        }
        let entries = pairs.into_iter().map(|(name, string)| {
            let listed_once = string.numbers().all(|number| listed[&number] == 1);
            let entry = match string {
                Listed::Region(string) => Entry::Region(string, claim_region(&name, string, listed_once).into()),
                Listed::End(string) => Entry::End(string, claim_end(&name, string, listed_once).into()),
            };
            (name, entry)
        });
        Self { entries: Mutex::new(entries.collect()), malformed }
    }
}

/// Claims one region of the variable.
pub(super) fn claim_region(name: &str, string: ExportString, listed_once: bool) -> Result<Arc<RegionInner>> {
    let tried = format!("cannot inherit the region {name:?}");
    Ok(string.region(claim_one(&tried, string, listed_once, true)?).into())
}

/// Claims one end of a channel.
fn claim_end(name: &str, string: EndString, listed_once: bool) -> Result<EndParts> {
    let tried = format!("cannot inherit the {} {name:?}", string.role);
    // All of them, also where one fails: none may be left for this process's children.
    let memory = claim_one(&tried, string.memory, listed_once, false);
    let hears = claim_one(&tried, string.hears, listed_once, false);
    let rings = claim_one(&tried, string.rings, listed_once, false);
    let memory = string.memory.region(memory?).into();
    let doorbell = Doorbell::received([hears?.0, rings?.0]).map_err(|failure| Error::system(tried, failure))?;
    Ok(EndParts { memory, doorbell, role: string.role })
}

/// Claims one descriptor that the variable lists. If it `may_be_shared`, another part of this process may have it too.
fn claim_one<N: Named>(tried: &str, string: N, listed_once: bool, may_be_shared: bool) -> Result<(Owned, N::Status)> {
    let number = string.number();
    let refused = |why: &str| {
        let message = format!("{tried}: {VARIABLE} lists descriptor {number}, {why}");
        Err(Error::new(ErrorKind::Mismatch, message))
    };
    if sys::is_standard(number) {
        return refused("which is a standard stream");
    }
    if !listed_once {
        return refused("more than once");
    }
    // On a second attempt, an export of this process may have the number.
    let reserved = if is_exported(number) { Ok(None) } else { string.reserve().map(Some) };
    if !may_be_shared && reserved.as_ref().is_ok_and(|reserved| reserved.as_ref().is_none_or(|it| it.was_close_on_exec))
    {
        return refused("which another part of this process has");
    }
    let claimed = reserved.and_then(|reserved| match reserved {
        Some(reserved) if !reserved.was_close_on_exec => {
            // SAFETY: The status is from `reserve`. The descriptor was inherited under the number that the variable names
            // and is exactly what that describes. An owner would have set close-on-exec. Every call of this library that brings a
            // descriptor in claims first, so no handle of its own has the number; on a second attempt neither, since the
            // descriptor stayed open in between.
            Ok(unsafe { string.take_over(reserved.status) })
        }
        // A close-on-exec descriptor was not inherited by exec: another copy of this library, say, claimed it.
        _ => string.duplicate(),
    });
    claimed.map_err(|mismatch| match mismatch {
        Mismatch::Closed if sys::parent_passes(number, string.identity()) => Error::advised(
            ErrorKind::Mismatch,
            format!("{tried}: its descriptor {number} is closed, but open in the parent process"),
            "a launcher in between probably closed it: configure the launcher to pass it (pass_fds in Python's subprocess)",
        ),
        Mismatch::Closed | Mismatch::OtherFile => {
            let state = if matches!(mismatch, Mismatch::Closed) { "is closed" } else { "is a different file" };
            Error::advised(
                ErrorKind::Mismatch,
                format!("{tried}: its descriptor {number} {state}"),
                format!(
                    "{VARIABLE} is probably left over from an ancestor: the parent must name it on the command that starts \
                     this program"
                ),
            )
        }
        other => string.refused(tried, other),
    })
}
