//! Handles: the addresses by which C refers to the objects of this library. No memory is behind them.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::code::Code;
use crate::error::{Failure, Result};
use crate::reserved::Reserved;

/// The distance between two handles in bytes: malloc's alignment.
const SPACING: usize = 16;

/// All handles of one type. A pointer from C is looked up, never dereferenced.
pub(crate) struct Handles<T> {
    reserved: &'static Reserved,
    open: Mutex<BTreeMap<usize, Arc<T>>>,
}

/// The result of looking a pointer up.
pub(crate) enum Found<T> {
    Open(Arc<T>),
    Closed,
    /// Not a handle of this type: another library's object, or an invalid pointer.
    Foreign,
    Null,
}

impl<T> Handles<T> {
    pub(crate) const fn new(reserved: &'static Reserved) -> Self {
        Self { reserved, open: Mutex::new(BTreeMap::new()) }
    }

    pub(crate) fn open(&self, object: Arc<T>) -> Result<usize> {
        let address = self.reserved.take(SPACING).map_err(|error| Failure::system("cannot create a handle", &error))?;
        self.lock().insert(address, object);
        Ok(address)
    }

    pub(crate) fn find(&self, address: usize) -> Found<T> {
        if !self.reserved.contains(address) {
            return Found::outside(address);
        }
        self.lock().get(&address).map_or(Found::Closed, |object| Found::Open(Arc::clone(object)))
    }

    /// Closes a handle and returns what `find` returned for it before.
    pub(crate) fn close(&self, address: usize) -> Found<T> {
        if !self.reserved.contains(address) {
            return Found::outside(address);
        }
        // The caller drops the object, after the lock is released.
        self.lock().remove(&address).map_or(Found::Closed, Found::Open)
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<usize, Arc<T>>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T> Found<T> {
    fn outside(address: usize) -> Self {
        if address == 0 { Self::Null } else { Self::Foreign }
    }

    /// Returns the object of an open handle, and an error for anything else.
    pub(crate) fn require_open(self, what: &str) -> Result<Arc<T>> {
        match self {
            Self::Open(object) => Ok(object),
            Self::Closed => {
                Err(Failure::new(Code::BadDescriptor, format!("the {what} was already closed or destroyed")))
            }
            Self::Foreign => {
                let why = format!("the pointer is not a heirloom {what}");
                let advice = "to use heirloom with NSPR, link it before NSPR or preload it";
                Err(Failure::new(Code::InvalidArgument, why).advised(advice))
            }
            Self::Null => {
                let why = format!("the {what} is NULL");
                Err(Failure::new(Code::InvalidArgument, why).advised("check whether the call that created it failed"))
            }
        }
    }
}
