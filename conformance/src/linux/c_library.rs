//! The C library, loaded into a process that also has the Rust library.

use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::path::Path;
use std::ptr;

macro_rules! functions {
    ($($name:ident($($argument:ty),*) $(-> $answer:ty)?;)*) => {
        /// The functions of the C library, by their C names.
        #[allow(missing_docs, non_snake_case)]
        pub struct CLibrary {
            $(pub $name: unsafe extern "C" fn($($argument),*) $(-> $answer)?,)*
        }

        impl CLibrary {
            /// Loads the library.
            ///
            /// # Panics
            /// If the library or one of its functions is missing.
            #[must_use]
            pub fn load(path: &str) -> Self {
                let path = CString::new(path).unwrap();
                // SAFETY: Loading runs only the library's own initializers, and each type is the prototype in
                // `heirloom_nspr.h`.
                unsafe {
                    let library = libc::dlopen(path.as_ptr(), libc::RTLD_NOW | libc::RTLD_LOCAL);
                    assert!(!library.is_null(), "{path:?}");
                    let find = |name: &str| {
                        let name = CString::new(name).unwrap();
                        let function = libc::dlsym(library, name.as_ptr());
                        assert!(!function.is_null(), "{name:?}");
                        function
                    };
                    Self {
                        $($name: std::mem::transmute::<
                            *mut c_void,
                            unsafe extern "C" fn($($argument),*) $(-> $answer)?,
                        >(find(stringify!($name))),)*
                    }
                }
            }
        }
    };
}

functions! {
    PR_OpenAnonFileMap(*const c_char, usize, c_int) -> *mut c_void;
    PR_MemMap(*mut c_void, i64, u32) -> *mut c_void;
    PR_MemUnmap(*mut c_void, u32) -> c_int;
    PR_CloseFileMap(*mut c_void) -> c_int;
    PR_ExportFileMapAsString(*mut c_void, usize, *mut c_char) -> c_int;
    PR_GetInheritedFileMap(*const c_char) -> *mut c_void;
    PR_NewProcessAttr() -> *mut c_void;
    PR_DestroyProcessAttr(*mut c_void);
    PR_ProcessAttrSetInheritableFileMap(*mut c_void, *mut c_void, *const c_char) -> c_int;
    PR_CreateProcess(*const c_char, *const *const c_char, *const *const c_char, *const c_void) -> *mut c_void;
    PR_WaitProcess(*mut c_void, *mut i32) -> c_int;
    heirloom_make_read_only(*mut c_void) -> c_int;
    heirloom_freeze(*mut c_void) -> c_int;
}

// The C library checks a file map pointer against its own table and does not dereference it.
#[allow(clippy::not_unsafe_ptr_arg_deref)]
impl CLibrary {
    /// Creates a file map, fills it, and makes it frozen or read-only or leaves it writable.
    ///
    /// # Panics
    /// If a call fails.
    #[must_use]
    pub fn file_map(&self, size: u32, kind: &str) -> *mut c_void {
        // SAFETY: Called as the header requires. The write stays inside the mapping. A read-only file map keeps its
        // mapping, the writer.
        unsafe {
            let file_map = (self.PR_OpenAnonFileMap)(ptr::null(), size as usize, 1);
            assert!(!file_map.is_null());
            let view = (self.PR_MemMap)(file_map, 0, size);
            assert!(!view.is_null());
            view.cast::<u8>().write_bytes(7, size as usize);
            if kind != "read-only" {
                assert_eq!((self.PR_MemUnmap)(view, size), 0);
            }
            match kind {
                "frozen" => assert_eq!((self.heirloom_freeze)(file_map), 0),
                "read-only" => assert_eq!((self.heirloom_make_read_only)(file_map), 0),
                _ => {}
            }
            file_map
        }
    }

    /// Runs a program that inherits a file map under a name.
    ///
    /// # Panics
    /// If the program fails.
    pub fn run(&self, program: &Path, args: &[&str], file_map: *mut c_void, name: &CStr) {
        let program = CString::new(program.to_str().unwrap()).unwrap();
        let args: Vec<_> = args.iter().map(|arg| CString::new(*arg).unwrap()).collect();
        let args: Vec<_> =
            [program.as_ptr()].into_iter().chain(args.iter().map(|arg| arg.as_ptr())).chain([ptr::null()]).collect();
        let mut code = -1;
        // SAFETY: Called as the header requires: NUL-terminated strings and a null-terminated list, which outlive the
        // calls.
        unsafe {
            let attributes = (self.PR_NewProcessAttr)();
            assert_eq!((self.PR_ProcessAttrSetInheritableFileMap)(attributes, file_map, name.as_ptr()), 0);
            let process = (self.PR_CreateProcess)(program.as_ptr(), args.as_ptr(), ptr::null(), attributes);
            assert!(!process.is_null());
            assert_eq!((self.PR_WaitProcess)(process, &raw mut code), 0);
            (self.PR_DestroyProcessAttr)(attributes);
        }
        assert_eq!(code, 0);
    }

    /// Returns the export string of a file map.
    ///
    /// # Panics
    /// If the call fails.
    #[must_use]
    pub fn export(&self, file_map: *mut c_void) -> String {
        let mut string = [0; 128];
        // SAFETY: The buffer has the length passed, and the call ends the string with a NUL.
        let string = unsafe {
            assert_eq!((self.PR_ExportFileMapAsString)(file_map, string.len(), string.as_mut_ptr()), 0);
            CStr::from_ptr(string.as_ptr())
        };
        string.to_str().unwrap().to_owned()
    }
}
