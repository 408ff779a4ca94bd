//! The C interface, by our library and by the real NSPR.

use std::ffi::{CStr, CString, c_char, c_void};
use std::os::unix::ffi::OsStrExt;
use std::ptr;
use std::sync::OnceLock;

use super::{Parent, Running, Way, child, child_args, way};

pub const OURS: Way = Way {
    name: "heirloom, in C",
    key: "c",
    create: Some(|size, touch| library(&OURS).create(size, touch)),
    parent: Some(|size| library(&OURS).parent(size)),
    attach: None,
};

pub const THEIRS: Way = Way {
    name: "NSPR",
    key: "nspr",
    create: Some(|size, touch| library(&THEIRS).create(size, touch)),
    parent: Some(|size| library(&THEIRS).parent(size)),
    attach: None,
};

/// The fastest place for NSPR's temporary files; ours makes none.
const DIRECTORY: &CStr = c"/dev/shm";
const READ_WRITE: i32 = 1;

/// Where this project's own library was built.
const BUILT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../target/release/libheirloom_nspr.so");

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

/// # Safety
/// The library has a function of that name and of type `F`, which is a pointer to one.
unsafe fn symbol<F: Copy>(library: *mut c_void, name: &CStr) -> F {
    // SAFETY: A whole string; what is there is what the caller says.
    unsafe {
        let address = libc::dlsym(library, name.as_ptr());
        assert!(!address.is_null(), "{name:?}");
        std::mem::transmute_copy(&address)
    }
}

fn load(path: &CStr) -> Option<Library> {
    // SAFETY: A whole string.
    let loaded = unsafe { libc::dlopen(path.as_ptr(), libc::RTLD_NOW | libc::RTLD_LOCAL) };
    if loaded.is_null() {
        return None;
    }
    // SAFETY: Both libraries have these functions, of these types, and are never unloaded.
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
    theirs().is_some()
}

fn theirs() -> Option<&'static Library> {
    static THEIRS: OnceLock<Option<Library>> = OnceLock::new();
    THEIRS.get_or_init(|| load(c"libnspr4.so")).as_ref()
}

fn library(of: &Way) -> &'static Library {
    static OURS: OnceLock<Library> = OnceLock::new();
    match of.key {
        "c" => OURS.get_or_init(|| load(&CString::new(BUILT).unwrap()).expect("bench/run builds it")),
        _ => theirs().expect("it is installed"),
    }
}

impl Library {
    fn make(&self, size: usize) -> (FileMap, *mut u8) {
        // SAFETY: A whole string, and a handle from the call before.
        unsafe {
            let file_map = (self.open)(DIRECTORY.as_ptr(), size, READ_WRITE);
            assert!(!file_map.is_null());
            let memory = (self.map)(file_map, 0, u32::try_from(size).unwrap());
            assert!(!memory.is_null());
            (file_map, memory)
        }
    }

    fn create(&self, size: usize, touch: &dyn Fn(*mut u8)) {
        let (file_map, memory) = self.make(size);
        touch(memory);
        // SAFETY: Made above and used no more.
        unsafe {
            assert_eq!((self.unmap)(memory, u32::try_from(size).unwrap()), 0);
            assert_eq!((self.close)(file_map), 0);
        }
    }

    fn parent(&'static self, size: usize) -> Parent {
        let (file_map, memory) = self.make(size);
        let mut string = [0; 128];
        // SAFETY: As many bytes as it is told.
        let answer = unsafe { (self.export)(file_map, string.len(), string.as_mut_ptr()) };
        assert_eq!(answer, 0);
        // SAFETY: It ends with NUL.
        let string = unsafe { CStr::from_ptr(string.as_ptr()) }.to_str().unwrap();
        // To be found by its number in both: a child that imports it would have to load the library first.
        let number = string.split(':').next().unwrap();
        let program = CString::new(child().as_os_str().as_bytes()).unwrap();
        let args = child_args(way("bare"), number).map(|arg| CString::new(arg).unwrap());
        let start = move || -> Running {
            let strings = [&program].into_iter().chain(&args).map(|arg| arg.as_ptr());
            let list: Vec<_> = strings.chain([ptr::null()]).collect();
            // SAFETY: Whole strings and lists that end with their null.
            let process = unsafe { (self.create_process)(program.as_ptr(), list.as_ptr(), ptr::null(), ptr::null()) };
            assert!(!process.is_null());
            Box::new(move || {
                let mut code = 0;
                // SAFETY: From the call above, waited for once.
                assert_eq!(unsafe { (self.wait_process)(process, &raw mut code) }, 0);
                assert_eq!(code, 0);
            })
        };
        Parent { memory, start: Box::new(start) }
    }
}
