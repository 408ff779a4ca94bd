//! Protocol one, the child's side: claiming what was inherited, and taking it by name.

#![allow(unsafe_code)]

use std::collections::BTreeMap;
use std::env;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use crate::export::{ExportString, Mismatch, is_exported};
use crate::object::Object;
use crate::sys;
use crate::variable::{self, VARIABLE};
use crate::{Error, ErrorKind, RegionKind, Result};

/// All that this process inherited.
struct Inheritance {
    entries: Mutex<BTreeMap<String, Entry>>,
    /// What is wrong with the variable, if anything is.
    malformed: Option<Error>,
}

struct Entry {
    string: ExportString,
    state: State,
}

enum State {
    Waiting(Arc<Object>),
    Taken,
    Missing(Error),
}

static INHERITANCE: OnceLock<Inheritance> = OnceLock::new();

/// Claims all that this process inherited: checks each descriptor, makes it close-on-exec and owns it, so that this
/// process's own children get only what it names for them.
///
/// Call it on the first line of `main`. Every use of this library that needs it claims by itself, but what another part
/// of the program starts before that still inherits all.
///
/// # Errors
/// [`ErrorKind::Malformed`]: `HEIRLOOM_REGIONS` is not well-formed. What of it is, was claimed. A descriptor that is
/// missing is no error here, but of the call that asks for its name.
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

/// Claims before any other region comes into this process, so that none can be mistaken for an inherited one, and before
/// any child is started. What is wrong with the variable is for a call to say that asks for a name: a program that asks for
/// none is none the worse for it.
pub(crate) fn claim_quietly() {
    let _ = claimed();
}

fn claimed() -> Result<&'static Inheritance> {
    let inheritance = INHERITANCE.get_or_init(Inheritance::claim);
    match &inheritance.malformed {
        None => Ok(inheritance),
        Some(error) => Err(error.clone()),
    }
}

impl Inheritance {
    fn claim() -> Self {
        let (pairs, malformed) = match env::var(VARIABLE) {
            // With rights that the caller doesn't have, the caller's word counts for nothing.
            _ if sys::is_privileged() => (Vec::new(), None),
            Ok(value) => variable::parse(&value),
            Err(env::VarError::NotPresent) => (Vec::new(), None),
            Err(env::VarError::NotUnicode(_)) => {
                let error = Error::new(ErrorKind::Malformed, format!("cannot read {VARIABLE}: it is not UTF-8"));
                (Vec::new(), Some(error))
            }
        };
        let mut listed: BTreeMap<_, u32> = BTreeMap::new();
        for (_, string) in &pairs {
            *listed.entry(string.number).or_default() += 1;
        }
        let entries = pairs.into_iter().map(|(name, string)| {
            let state = match claim_one(&name, string, listed[&string.number] == 1) {
                Ok(object) => State::Waiting(Arc::new(object)),
                Err(error) => State::Missing(error),
            };
            (name, Entry { string, state })
        });
        Self { entries: Mutex::new(entries.collect()), malformed }
    }
}

fn claim_one(name: &str, string: ExportString, listed_once: bool) -> Result<Object> {
    let number = string.number;
    let tried = || format!("cannot inherit the region {name:?}");
    let refused = |why: &str| {
        let message = format!("{}: {VARIABLE} lists descriptor {number} {why}", tried());
        Err(Error::new(ErrorKind::Mismatch, message))
    };
    if sys::is_standard(number) {
        return refused("for it, which is standard input, output or error");
    }
    if !listed_once {
        return refused("more than once");
    }
    // Close-on-exec, it came from nobody's exec: another copy of this library, say, claimed it. And an export of this
    // process may have the number by the time of a second try.
    let claimed = if sys::look_at(number, |descriptor| sys::is_close_on_exec(descriptor)).unwrap_or(false)
        || is_exported(number)
    {
        string.duplicate()
    } else {
        string.reserve().map(|status| {
            // SAFETY: Reserved just now. It was inherited under the number that the variable names for just this, and is
            // exactly the region that was handed down. Nobody made it close-on-exec, as an owner would have; and every
            // call of this library that brings a region in claims first, so no handle of its own can have that number:
            // also not when a failed claim is tried again, since the number was open all the time.
            unsafe { string.take_over(&status) }
        })
    };
    claimed.map_err(|mismatch| match mismatch {
        Mismatch::Closed if sys::parent_passes(number, string.identity) => Error::new(
            ErrorKind::Mismatch,
            format!(
                "{}: it looks as if a launcher closed its descriptor {number}, which this process's parent still \
                 has; tell the launcher to pass it (Python's subprocess: pass_fds)",
                tried()
            ),
        ),
        Mismatch::Closed | Mismatch::AnotherFile => {
            let state = if matches!(mismatch, Mismatch::Closed) { "is closed" } else { "is another file" };
            let message = format!(
                "{}: its descriptor {number} {state}, and it looks as if {VARIABLE} was left over from an ancestor; \
                 the parent must name the region on the command that starts this program",
                tried()
            );
            Error::new(ErrorKind::Mismatch, message)
        }
        other => string.refused(&tried(), other),
    })
}

/// Takes the region of that name, if it is of the type `wanted`; `None` is any.
pub(crate) fn take(name: &str, wanted: Option<&str>) -> Result<(Arc<Object>, RegionKind)> {
    let mut entries = claimed()?.entries.lock().unwrap_or_else(PoisonError::into_inner);
    let tried = || format!("cannot inherit the region {name:?}");
    let Some(entry) = entries.get_mut(name) else {
        let why = if sys::is_privileged() {
            "a program with more rights than its caller inherits nothing".to_owned()
        } else if entries.is_empty() {
            "this process inherited none".to_owned()
        } else {
            format!("this process inherited {:?}", entries.keys().collect::<Vec<_>>())
        };
        return Err(Error::new(ErrorKind::NotInherited, format!("{}: {why}", tried())));
    };
    let (kind, has) = (entry.string.kind, entry.string.kind.type_name());
    if let Some(wanted) = wanted.filter(|wanted| *wanted != has) {
        let message = format!("{} as a {wanted}: it is {kind}", tried());
        return Err(Error::advised(ErrorKind::WrongKind, message, format!("{has}::inherited takes it")));
    }
    let object = match std::mem::replace(&mut entry.state, State::Taken) {
        State::Waiting(object) => Ok(object),
        State::Taken => {
            let message = format!("{}: it was taken already", tried());
            Err(Error::advised(ErrorKind::AlreadyTaken, message, "clone that handle"))
        }
        // What the system refused once it may do now.
        State::Missing(error) => {
            let again = if error.raw_os_error().is_some() { claim_one(name, entry.string, true) } else { Err(error) };
            again.map(Arc::new).inspect_err(|error| entry.state = State::Missing(error.clone()))
        }
    };
    Ok((object?, kind))
}

/// One region that this process inherited; from [`inherited`].
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Inherited {
    /// The name it was handed down under.
    pub name: String,
    /// What its holder may do with it.
    pub kind: RegionKind,
    /// Bytes.
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

/// All that this process inherited, by name.
///
/// # Errors
/// [`ErrorKind::Malformed`]: `HEIRLOOM_REGIONS` is not well-formed.
///
/// ```
/// for region in heirloom::inherited()? {
///     println!("{}: {} bytes, {}", region.name, region.size, region.kind);
/// }
/// # Ok::<(), heirloom::Error>(())
/// ```
pub fn inherited() -> Result<Vec<Inherited>> {
    let entries = claimed()?.entries.lock().unwrap_or_else(PoisonError::into_inner);
    let listed = entries.iter().map(|(name, entry)| Inherited {
        name: name.clone(),
        kind: entry.string.kind,
        size: entry.string.size,
        state: match &entry.state {
            State::Waiting(_) => InheritedState::Available,
            State::Taken => InheritedState::Taken,
            State::Missing(error) => InheritedState::Missing(error.clone()),
        },
    });
    Ok(listed.collect())
}
