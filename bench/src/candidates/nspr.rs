//! The C interface, implemented by heirloom and by NSPR.

use std::ffi::{CStr, CString, c_char, c_void};
use std::os::unix::ffi::OsStrExt;
use std::ptr;
use std::sync::OnceLock;

use super::{Candidate, Parent, Running, by_key, child_args, child_program};

pub const HEIRLOOM: Candidate = Candidate {
    name: "heirloom, C interface",
    key: "c",
    create: Some(|size, touch| library(&HEIRLOOM).create(size, touch)),
    parent: Some(|size| library(&HEIRLOOM).parent(size)),
    attach: None,
};

pub const NSPR: Candidate = Candidate {
    name: "NSPR",
    key: "nspr",
    create: Some(|size, touch| library(&NSPR).create(size, touch)),
    parent: Some(|size| library(&NSPR).parent(size)),
    attach: None,
};

/// The fastest directory for NSPR's temporary files. heirloom creates none.
const DIRECTORY: &CStr = c"/dev/shm";
const READ_WRITE: i32 = 1;

/// The C library of this repository.
const HEIRLOOM_LIBRARY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../target/release/libheirloom_nspr.so");

type FileMap = *mut c_void;

/// The functions of one of the libraries.
struct Library {
    open: unsafe extern "C" fn(*const c_char, usize, i32) -> FileMap,
    map: unsafe extern "C" fn(FileMap, i64, u32) -> *mut u8,
    unmap: unsafe extern "C" fn(*mut u8, u32) -> i32,
    close: unsafe extern "C" fn(FileMap) -> i32,
    export: unsafe extern "C" fn(FileMap, usize, *mut c_char) -> i32,
    create_process:
        unsafe extern "C" fn(*const c_char, *const *const c_char, *const *const c_char, *const c_void) -> *mut c_void,
    wait_process: unsafe extern "C" fn(*mut c_void, *mut i32) -> i32,
}

/// Returns the function of that name.
///
/// # Safety
/// `library` is a loaded library, and `F` is the type of a pointer to that function.
unsafe fn symbol<F: Copy>(library: *mut c_void, name: &CStr) -> F {
    // SAFETY: The name ends with NUL. The caller guarantees the library and the function's type.
    unsafe {
        let address = libc::dlsym(library, name.as_ptr());
        assert!(!address.is_null(), "no function {name:?}");
        std::mem::transmute_copy(&address)
    }
}

fn load(path: &CStr) -> Option<Library> {
    // SAFETY: The path ends with NUL.
    let loaded = unsafe { libc::dlopen(path.as_ptr(), libc::RTLD_NOW | libc::RTLD_LOCAL) };
    if loaded.is_null() {
        return None;
    }
    // SAFETY: Both libraries declare these functions with these types, and neither is ever unloaded.
    unsafe {
        Some(Library {
            open: symbol(loaded, c"PR_OpenAnonFileMap"),
            map: symbol(loaded, c"PR_MemMap"),
            unmap: symbol(loaded, c"PR_MemUnmap"),
            close: symbol(loaded, c"PR_CloseFileMap"),
            export: symbol(loaded, c"PR_ExportFileMapAsString"),
            create_process: symbol(loaded, c"PR_CreateProcess"),
            wait_process: symbol(loaded, c"PR_WaitProcess"),
        })
    }
}

pub fn is_installed() -> bool {
    nspr().is_some()
}

fn nspr() -> Option<&'static Library> {
    static LIBRARY: OnceLock<Option<Library>> = OnceLock::new();
    LIBRARY.get_or_init(|| load(c"libnspr4.so")).as_ref()
}

fn library(candidate: &Candidate) -> &'static Library {
    static LIBRARY: OnceLock<Library> = OnceLock::new();
    match candidate.key {
        "c" => LIBRARY
            .get_or_init(|| load(&CString::new(HEIRLOOM_LIBRARY).unwrap()).expect("`bench/run` builds the library")),
        _ => nspr().expect("NSPR is installed"),
    }
}

impl Library {
    fn create_mapped(&self, size: usize) -> (FileMap, *mut u8) {
        // SAFETY: The directory ends with NUL, and the handle is checked before it is used.
        unsafe {
            let file_map = (self.open)(DIRECTORY.as_ptr(), size, READ_WRITE);
            assert!(!file_map.is_null());
            let memory = (self.map)(file_map, 0, u32::try_from(size).unwrap());
            assert!(!memory.is_null());
            (file_map, memory)
        }
    }

    fn create(&self, size: usize, touch: &dyn Fn(*mut u8)) {
        let (file_map, memory) = self.create_mapped(size);
        touch(memory);
        // SAFETY: `create_mapped` returned both, and nothing uses them after `touch`.
        unsafe {
            assert_eq!((self.unmap)(memory, u32::try_from(size).unwrap()), 0);
            assert_eq!((self.close)(file_map), 0);
        }
    }

    fn parent(&'static self, size: usize) -> Parent {
        let (file_map, memory) = self.create_mapped(size);
        let mut string = [0; 128];
        // SAFETY: The buffer has the passed length.
        let result = unsafe { (self.export)(file_map, string.len(), string.as_mut_ptr()) };
        assert_eq!(result, 0);
        // SAFETY: The library ended the string with NUL.
        let string = unsafe { CStr::from_ptr(string.as_ptr()) }.to_str().unwrap();
        // The child attaches by descriptor number with either library: importing would load the library first.
        let number = string.split(':').next().unwrap();
        let program = CString::new(child_program().as_os_str().as_bytes()).unwrap();
        let args = child_args(by_key("system_calls"), number).map(|arg| CString::new(arg).unwrap());
        let start = move || -> Running {
            let strings = [&program].into_iter().chain(&args).map(|arg| arg.as_ptr());
            let list: Vec<_> = strings.chain([ptr::null()]).collect();
            // SAFETY: The strings end with NUL and the list with a null pointer; both outlive the call.
            let process = unsafe { (self.create_process)(program.as_ptr(), list.as_ptr(), ptr::null(), ptr::null()) };
            assert!(!process.is_null());
            Box::new(move || {
                let mut code = 0;
                // SAFETY: The handle comes from the call above and is waited for once.
                assert_eq!(unsafe { (self.wait_process)(process, &raw mut code) }, 0);
                assert_eq!(code, 0);
            })
        };
        Parent { memory, start: Box::new(start) }
    }
}
