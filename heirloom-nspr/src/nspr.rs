//! The real NSPR, where this library stands in front of it.

#![allow(unsafe_code)]

use std::ffi::{CStr, c_char, c_void};
use std::mem;
use std::ptr;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::sys;
use crate::types::{PRFileDesc, PRFileMap, PRStatus};

/// `PR_NSPR_IO_LAYER`: the layer that has the system's own descriptor.
const BOTTOM_LAYER: i32 = 0;

macro_rules! functions {
    ($($field:ident: $name:literal as fn($($argument:ty),*) $(-> $answer:ty)?;)*) => {
        /// The functions of it that are needed here.
        #[derive(Debug)]
        pub(crate) struct Nspr {
            $($field: unsafe extern "C" fn($($argument),*) $(-> $answer)?,)*
        }

        impl Nspr {
            /// All of them, or nothing.
            fn resolve(find: impl Fn(&CStr) -> *mut c_void) -> Option<Self> {
                $(let $field = find($name);)*
                if [$($field),*].contains(&ptr::null_mut()) {
                    return None;
                }
                // SAFETY: NSPR's functions of these names have these prototypes, in every version of its ABI since 4.0.
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

static FOUND: OnceLock<Nspr> = OnceLock::new();

/// How many libraries were loaded when NSPR was looked for last, and wasn't among them.
static SEARCHED: AtomicU64 = AtomicU64::new(0);

// Now, while there is nothing that a search could disturb: no handler of a signal, no `dlerror` not read yet.
sys::on_load!(find_behind);

/// NSPR, where it is loaded for everyone and comes after this library.
fn find_behind() {
    if let Some(nspr) = Nspr::resolve(sys::next_symbol) {
        sys::pin(nspr.set_error as *mut c_void);
        let _ = FOUND.set(nspr);
    }
}

/// NSPR, if this process has it by now.
pub(crate) fn find() -> Option<&'static Nspr> {
    FOUND.get().or_else(|| {
        // It may be loaded at any time, also for one library alone (`RTLD_LOCAL`), which is behind nobody.
        let seen = sys::libraries(LIBRARY, SEARCHED.load(Ordering::Relaxed));
        if !seen.found {
            SEARCHED.store(seen.loaded, Ordering::Relaxed);
            return None;
        }
        let library = sys::loaded(LIBRARY)?;
        let nspr = Nspr::resolve(|name| library.symbol(name))?;
        Some(FOUND.get_or_init(|| nspr))
    })
}

impl Nspr {
    pub(crate) fn set_error(&self, code: i32, os: i32) {
        // SAFETY: Plain numbers.
        unsafe { (self.set_error)(code, os) }
    }

    /// `len` bytes, without the NUL.
    pub(crate) fn set_error_text(&self, len: i32, text: &CStr) {
        // SAFETY: NSPR copies that many bytes and the NUL.
        unsafe { (self.set_error_text)(len, text.as_ptr()) }
    }

    pub(crate) fn error(&self) -> i32 {
        // SAFETY: No arguments.
        unsafe { (self.error)() }
    }

    pub(crate) fn os_error(&self) -> i32 {
        // SAFETY: No arguments.
        unsafe { (self.os_error)() }
    }

    pub(crate) fn error_text_length(&self) -> i32 {
        // SAFETY: No arguments.
        unsafe { (self.error_text_length)() }
    }

    /// # Safety
    /// As for `PR_GetErrorText`.
    pub(crate) unsafe fn error_text(&self, text: *mut c_char) -> i32 {
        // SAFETY: By the caller.
        unsafe { (self.error_text)(text) }
    }

    /// # Safety
    /// `file_map` is one of NSPR's.
    pub(crate) unsafe fn mem_map(&self, file_map: *mut PRFileMap, offset: i64, len: u32) -> *mut c_void {
        // SAFETY: By the caller.
        unsafe { (self.mem_map)(file_map, offset, len) }
    }

    /// # Safety
    /// `file_map` is one of NSPR's.
    pub(crate) unsafe fn close_file_map(&self, file_map: *mut PRFileMap) -> PRStatus {
        // SAFETY: By the caller.
        unsafe { (self.close_file_map)(file_map) }
    }

    /// Whether nothing is layered over the system's descriptor.
    ///
    /// # Safety
    /// `file` is one of NSPR's.
    pub(crate) unsafe fn is_plain(&self, file: *mut PRFileDesc) -> bool {
        // SAFETY: By the caller.
        unsafe { (self.layers_identity)(file) == BOTTOM_LAYER }
    }

    /// The system's own descriptor, below all layers.
    ///
    /// # Safety
    /// `file` is one of NSPR's.
    pub(crate) unsafe fn descriptor(&self, file: *mut PRFileDesc) -> Option<i32> {
        // SAFETY: By the caller.
        unsafe {
            let bottom = (self.identities_layer)(file, BOTTOM_LAYER);
            if bottom.is_null() { None } else { i32::try_from((self.native_handle)(bottom)).ok() }
        }
    }

    /// A `PRDescType`: file, TCP socket, pipe ...
    ///
    /// # Safety
    /// `file` is one of NSPR's.
    pub(crate) unsafe fn desc_type(&self, file: *mut PRFileDesc) -> i32 {
        // SAFETY: By the caller.
        unsafe { (self.desc_type)(file) }
    }
}
