//! What C holds of our objects: an address that names one, and that nothing is behind.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::error::{Code, Failure, Result};
use crate::reserved::Reserved;

/// How far two handles are apart, in bytes: as far as malloc would have them.
const APART: usize = 16;

/// All handles of one kind. Whatever C passes in, it is recognised without being touched.
pub(crate) struct Handles<T> {
    reserved: Reserved,
    open: Mutex<BTreeMap<usize, Arc<T>>>,
}

/// What an address from C turned out to be.
pub(crate) enum Found<T> {
    Open(Arc<T>),
    Closed,
    /// None of these: another library's, or nonsense.
    Foreign,
    Null,
}

impl<T> Handles<T> {
    pub(crate) const fn new() -> Self {
        Self { reserved: Reserved::names_only(), open: Mutex::new(BTreeMap::new()) }
    }

    pub(crate) fn open(&self, object: Arc<T>) -> Result<usize> {
        let address = self.reserved.take(APART).map_err(|error| Failure::system("cannot make a handle", &error))?;
        self.lock().insert(address, object);
        Ok(address)
    }

    pub(crate) fn find(&self, address: usize) -> Found<T> {
        if !self.reserved.contains(address) {
            return Found::none(address);
        }
        self.lock().get(&address).map_or(Found::Closed, |object| Found::Open(Arc::clone(object)))
    }

    /// What `find` says; from now on it says `Closed`.
    pub(crate) fn close(&self, address: usize) -> Found<T> {
        if !self.reserved.contains(address) {
            return Found::none(address);
        }
        // What it was is dropped by the caller, after the lock.
        self.lock().remove(&address).map_or(Found::Closed, Found::Open)
    }

    /// Whether an address lies among those of the handles.
    pub(crate) fn contains(&self, address: usize) -> bool {
        self.reserved.contains(address)
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<usize, Arc<T>>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T> Found<T> {
    fn none(address: usize) -> Self {
        if address == 0 { Self::Null } else { Self::Foreign }
    }

    /// The object, where only an open one of ours will do.
    pub(crate) fn ours(self, what: &str) -> Result<Arc<T>> {
        match self {
            Self::Open(object) => Ok(object),
            Self::Closed => {
                Err(Failure::new(Code::BadDescriptor, format!("the {what} was closed or destroyed before")))
            }
            Self::Foreign => {
                let why = format!("that is no {what} of heirloom's");
                let advice = "in front of NSPR, heirloom is linked before it or preloaded, and makes all of them";
                Err(Failure::new(Code::InvalidArgument, why).advised(advice))
            }
            Self::Null => {
                let why = format!("the {what} is NULL");
                Err(Failure::new(Code::InvalidArgument, why).advised("did the call that should have made it fail?"))
            }
        }
    }
}
