//! The real NSPR, if this library is used in front of it.

#![allow(unsafe_code)]

use std::ffi::{CStr, c_char, c_void};
use std::mem;
use std::ptr;
use std::sync::atomic::{AtomicPtr, AtomicU64, Ordering};

use crate::fork;
use crate::sys;
use crate::types::{PRFileDesc, PRFileMap, PRStatus};

/// `PR_NSPR_IO_LAYER`: the layer with the system's descriptor.
const BOTTOM_LAYER: i32 = 0;

macro_rules! functions {
    ($($field:ident: $name:literal as fn($($argument:ty),*) $(-> $answer:ty)?;)*) => {
        /// The NSPR functions that this library calls.
        #[derive(Debug)]
        pub(crate) struct Nspr {
            $($field: unsafe extern "C" fn($($argument),*) $(-> $answer)?,)*
        }

        impl Nspr {
            /// Finds all of them, or returns `None`.
            fn resolve(find: impl Fn(&CStr) -> *mut c_void) -> Option<Self> {
                $(let $field = find($name);)*
                if [$($field),*].contains(&ptr::null_mut()) {
                    return None;
                }
                // SAFETY: NSPR's functions of these names have had these prototypes in every version since 4.0.
                unsafe {
                    Some(Self {
                        $($field: mem::transmute::<*mut c_void, unsafe extern "C" fn($($argument),*) $(-> $answer)?>($field),)*
                    })
                }
            }
        }
    };
}

functions! {
    set_error: c"PR_SetError" as fn(i32, i32);
    set_error_text: c"PR_SetErrorText" as fn(i32, *const c_char);
    error: c"PR_GetError" as fn() -> i32;
    os_error: c"PR_GetOSError" as fn() -> i32;
    error_text_length: c"PR_GetErrorTextLength" as fn() -> i32;
    error_text: c"PR_GetErrorText" as fn(*mut c_char) -> i32;
    mem_map: c"PR_MemMap" as fn(*mut PRFileMap, i64, u32) -> *mut c_void;
    close_file_map: c"PR_CloseFileMap" as fn(*mut PRFileMap) -> PRStatus;
    layers_identity: c"PR_GetLayersIdentity" as fn(*mut PRFileDesc) -> i32;
    identities_layer: c"PR_GetIdentitiesLayer" as fn(*mut PRFileDesc, i32) -> *mut PRFileDesc;
    native_handle: c"PR_FileDesc2NativeHandle" as fn(*mut PRFileDesc) -> isize;
    desc_type: c"PR_GetDescType" as fn(*mut PRFileDesc) -> i32;
}

const LIBRARY: &CStr = c"libnspr4.so";

/// Null until NSPR is found; never freed. A lock could be held by another thread during a fork.
static FOUND: AtomicPtr<Nspr> = AtomicPtr::new(ptr::null_mut());

/// The number of libraries loaded at the last search that did not find NSPR.
static SEARCHED: AtomicU64 = AtomicU64::new(0);

// At load time a search disturbs nothing: no signal handler runs, and no `dlerror` is pending.
sys::on_load!(find_at_load);

/// Finds NSPR if it is loaded globally, after this library.
fn find_at_load() {
    if let Some(nspr) = Nspr::resolve(sys::next_symbol) {
        sys::pin(nspr.set_error as *mut c_void);
        remember(nspr);
    }
}

fn found() -> Option<&'static Nspr> {
    // SAFETY: It is null, or the pointer of a box that is never freed.
    unsafe { FOUND.load(Ordering::Acquire).as_ref() }
}

fn remember(nspr: Nspr) {
    let boxed = Box::into_raw(Box::new(nspr));
    if FOUND.compare_exchange(ptr::null_mut(), boxed, Ordering::AcqRel, Ordering::Acquire).is_err() {
        // SAFETY: Another thread was faster, so this box was not published.
        drop(unsafe { Box::from_raw(boxed) });
    }
}

/// Returns NSPR if this process has loaded it.
pub(crate) fn find() -> Option<&'static Nspr> {
    found().or_else(|| {
        // A fork must not copy the loader's locks while this thread holds them.
        let _entered = fork::enter();
        // It may be loaded later, also only for one library (`RTLD_LOCAL`).
        let search = sys::search_libraries(LIBRARY, SEARCHED.load(Ordering::Relaxed));
        if !search.found {
            SEARCHED.store(search.loaded, Ordering::Relaxed);
            return None;
        }
        let library = sys::open_loaded(LIBRARY)?;
        let nspr = Nspr::resolve(|name| library.symbol(name))?;
        remember(nspr);
        found()
    })
}

impl Nspr {
    pub(crate) fn set_error(&self, code: i32, os: i32) {
        // SAFETY: The function takes plain numbers.
        unsafe { (self.set_error)(code, os) }
    }

    /// Sets a text of `len` bytes, without the NUL.
    pub(crate) fn set_error_text(&self, len: i32, text: &CStr) {
        // SAFETY: NSPR copies `len` bytes and the NUL, which the string has.
        unsafe { (self.set_error_text)(len, text.as_ptr()) }
    }

    pub(crate) fn error(&self) -> i32 {
        // SAFETY: The function takes no arguments.
        unsafe { (self.error)() }
    }

    pub(crate) fn os_error(&self) -> i32 {
        // SAFETY: The function takes no arguments.
        unsafe { (self.os_error)() }
    }

    pub(crate) fn error_text_length(&self) -> i32 {
        // SAFETY: The function takes no arguments.
        unsafe { (self.error_text_length)() }
    }

    /// # Safety
    /// As for `PR_GetErrorText`.
    pub(crate) unsafe fn error_text(&self, text: *mut c_char) -> i32 {
        // SAFETY: The caller keeps the contract above, which is NSPR's.
        unsafe { (self.error_text)(text) }
    }

    /// # Safety
    /// `file_map` is an open file map of NSPR.
    pub(crate) unsafe fn mem_map(&self, file_map: *mut PRFileMap, offset: i64, len: u32) -> *mut c_void {
        // SAFETY: The caller keeps the contract above, which is NSPR's.
        unsafe { (self.mem_map)(file_map, offset, len) }
    }

    /// # Safety
    /// `file_map` is an open file map of NSPR.
    pub(crate) unsafe fn close_file_map(&self, file_map: *mut PRFileMap) -> PRStatus {
        // SAFETY: The caller keeps the contract above, which is NSPR's.
        unsafe { (self.close_file_map)(file_map) }
    }

    /// Whether no layer is pushed on the system's descriptor.
    ///
    /// # Safety
    /// `file` is an open file of NSPR.
    pub(crate) unsafe fn is_plain(&self, file: *mut PRFileDesc) -> bool {
        // SAFETY: The caller keeps the contract above, which is NSPR's.
        unsafe { (self.layers_identity)(file) == BOTTOM_LAYER }
    }

    /// Returns the system's descriptor, below all layers.
    ///
    /// # Safety
    /// `file` is an open file of NSPR.
    pub(crate) unsafe fn descriptor(&self, file: *mut PRFileDesc) -> Option<i32> {
        // SAFETY: The caller keeps the contract above, which is NSPR's.
        unsafe {
            let bottom = (self.identities_layer)(file, BOTTOM_LAYER);
            if bottom.is_null() { None } else { i32::try_from((self.native_handle)(bottom)).ok() }
        }
    }

    /// Returns the `PRDescType`: file, TCP socket, pipe ...
    ///
    /// # Safety
    /// `file` is an open file of NSPR.
    pub(crate) unsafe fn desc_type(&self, file: *mut PRFileDesc) -> i32 {
        // SAFETY: The caller keeps the contract above, which is NSPR's.
        unsafe { (self.desc_type)(file) }
    }
}
