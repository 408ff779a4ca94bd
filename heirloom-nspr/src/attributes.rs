//! Attributes for starting a process.

#![allow(unsafe_code, non_snake_case)]

use std::ffi::c_char;
use std::fmt;
use std::path::PathBuf;
use std::ptr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::code::Code;
use crate::error::{Failure, Result, call};
use crate::file_map::{self, Shared};
use crate::handles::Handles;
use crate::nspr::{self, Nspr};
use crate::reserved;
#[cfg(target_os = "linux")]
use crate::strings::strings;
use crate::strings::{os_string, string, text};
use crate::sys;
use crate::types::{PRFileDesc, PRFileMap, PRProcessAttr, PRStatus};

/// The maximum length of a region's name in bytes.
const MAX_NAME: usize = 240;

/// The attributes that are not destroyed yet.
static ATTRIBUTES: Handles<Mutex<Attributes>> = Handles::new(&reserved::ATTRIBUTES);

/// The attributes of one or more processes.
#[derive(Clone, Default)]
pub(crate) struct Attributes {
    /// The descriptors of standard input, output and error. They are not duplicated here, because a pipe must end when
    /// its owner closes it.
    pub(crate) standard: [Option<i32>; 3],
    pub(crate) directory: Option<PathBuf>,
    pub(crate) files: Vec<InheritedFile>,
    pub(crate) regions: Vec<(String, Arc<Shared>)>,
    /// Keeps the child apart from other processes.
    #[cfg(target_os = "linux")]
    pub(crate) confined: bool,
    /// Seals it off, but for reading beneath each of these lists of paths.
    #[cfg(target_os = "linux")]
    pub(crate) confined_to: Vec<Vec<PathBuf>>,
    /// The failure of a function that returns nothing.
    failure: Option<Failure>,
}

/// An open file that the child gets by `PR_GetInheritedFD`, under the same number.
#[derive(Clone)]
pub(crate) struct InheritedFile {
    name: String,
    /// A `PRDescType`.
    kind: i32,
    pub(crate) number: i32,
}

/// One entry of `NSPR_INHERIT_FDS`.
impl fmt::Display for InheritedFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:0x{:x}", self.name, self.kind, self.number)
    }
}

impl Attributes {
    /// Returns a copy of the attributes, or default ones if the pointer is null.
    pub(crate) fn of(attributes: *const PRProcessAttr) -> Result<Self> {
        if attributes.is_null() {
            return Ok(Self::default());
        }
        let attributes = lock(&*find(attributes)?).clone();
        match attributes.failure {
            None => Ok(attributes),
            Some(failure) => Err(failure),
        }
    }

    fn redirect(&mut self, stream: u32, file: *mut PRFileDesc) -> Result<()> {
        let Some(standard) = self.standard.get_mut(stream as usize) else {
            let why = format!("{stream} is not PR_StandardInput, PR_StandardOutput or PR_StandardError");
            return Err(Failure::new(Code::InvalidArgument, why));
        };
        *standard = None;
        if !file.is_null() {
            // SAFETY: It isn't null, so the contract of the only caller says that it is an open file of NSPR.
            *standard = Some(unsafe { descriptor(require_nspr("a redirection")?, file) }?);
        }
        Ok(())
    }
}

fn find(attributes: *const PRProcessAttr) -> Result<Arc<Mutex<Attributes>>> {
    ATTRIBUTES.find(attributes.addr()).require_open("PRProcessAttr")
}

fn lock(attributes: &Mutex<Attributes>) -> MutexGuard<'_, Attributes> {
    attributes.lock().unwrap_or_else(PoisonError::into_inner)
}

fn require_nspr(what: &str) -> Result<&'static Nspr> {
    nspr::find().ok_or_else(|| {
        let why = format!("{what} takes a PRFileDesc of NSPR, and this program does not use NSPR");
        Failure::new(Code::OperationNotSupported, why).advised("link it with NSPR, after heirloom")
    })
}

/// Returns the system's descriptor of an NSPR file.
///
/// # Safety
/// `file` is an open file of NSPR.
unsafe fn descriptor(nspr: &Nspr, file: *mut PRFileDesc) -> Result<i32> {
    // SAFETY: The caller passes an open file of NSPR.
    unsafe { nspr.descriptor(file) }
        .ok_or_else(|| Failure::new(Code::InvalidArgument, "the file has no descriptor of the system"))
}

/// Creates attributes without redirections or inherited objects.
#[unsafe(no_mangle)]
pub extern "C" fn PR_NewProcessAttr() -> *mut PRProcessAttr {
    call(ptr::null_mut(), || Ok(ptr::without_provenance_mut(ATTRIBUTES.open(Arc::default())?)))
}

/// Resets attributes to their initial state.
#[unsafe(no_mangle)]
pub extern "C" fn PR_ResetProcessAttr(attributes: *mut PRProcessAttr) {
    call((), || {
        *lock(&*find(attributes)?) = Attributes::default();
        Ok(())
    });
}

/// Destroys attributes.
#[unsafe(no_mangle)]
pub extern "C" fn PR_DestroyProcessAttr(attributes: *mut PRProcessAttr) {
    call((), || ATTRIBUTES.close(attributes.addr()).require_open("PRProcessAttr").map(drop));
}

/// Redirects standard input (0), output (1) or error (2).
///
/// # Safety
/// `file` is an open file of NSPR, or null.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn PR_ProcessAttrSetStdioRedirect(
    attributes: *mut PRProcessAttr,
    stream: u32,
    file: *mut PRFileDesc,
) {
    call((), || {
        let attributes = find(attributes)?;
        let mut attributes = lock(&attributes);
        let redirected = attributes.redirect(stream, file);
        // This function returns nothing, so starting a process with these attributes returns the failure.
        attributes.failure = redirected.clone().err().or(attributes.failure.take());
        redirected
    });
}

/// An older name of `PR_ProcessAttrSetStdioRedirect`.
///
/// # Safety
/// As for `PR_ProcessAttrSetStdioRedirect`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn PR_SetStdioRedirect(attributes: *mut PRProcessAttr, stream: u32, file: *mut PRFileDesc) {
    // SAFETY: The contracts are the same.
    unsafe { PR_ProcessAttrSetStdioRedirect(attributes, stream, file) }
}

/// Sets the working directory.
///
/// # Safety
/// `directory` is null or a string.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn PR_ProcessAttrSetCurrentDirectory(
    attributes: *mut PRProcessAttr,
    directory: *const c_char,
) -> PRStatus {
    call(PRStatus::Failure, || {
        // SAFETY: The caller passes null or a string.
        let directory = unsafe { string(directory, "the directory") }?;
        let directory = os_string(directory.to_bytes())?.into_owned();
        lock(&*find(attributes)?).directory = Some(directory.into());
        Ok(PRStatus::Success)
    })
}

/// Lets the child get an open NSPR file by `PR_GetInheritedFD`.
///
/// # Safety
/// `file` is an open file of NSPR, or null; `name` is null or a string.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn PR_ProcessAttrSetInheritableFD(
    attributes: *mut PRProcessAttr,
    file: *mut PRFileDesc,
    name: *const c_char,
) -> PRStatus {
    call(PRStatus::Failure, || {
        let attributes = find(attributes)?;
        // SAFETY: The caller passes null or a string.
        let name = unsafe { text(name, "the name of the file") }?;
        let nspr = require_nspr("an inherited file")?;
        let failed = |code, why: &str, advice: &str| {
            Err(Failure::new(code, format!("cannot let a child inherit the file {name:?}: {why}")).advised(advice))
        };
        if file.is_null() {
            let advice = "check whether the call that opened it failed";
            return failed(Code::InvalidArgument, "the file is NULL", advice);
        }
        if name.is_empty() || name.contains(':') {
            let advice = "use a name that is not empty and has no colon";
            return failed(Code::InvalidArgument, "PR_GetInheritedFD could not find that name", advice);
        }
        // SAFETY: It isn't null, so the caller's contract says that it is an open file of NSPR.
        let (is_plain, kind) = unsafe { (nspr.is_plain(file), nspr.desc_type(file)) };
        if !is_plain {
            return failed(Code::InvalidArgument, "it has an I/O layer", "pop the layer first");
        }
        // SAFETY: As above.
        let number = unsafe { descriptor(nspr, file) }?;
        if sys::is_close_on_exec(number) != Some(false) {
            let advice = "call PR_SetFDInheritable on it first";
            return failed(Code::NoAccessRights, "it is not inheritable", advice);
        }
        lock(&attributes).files.push(InheritedFile { name: name.to_owned(), kind, number });
        Ok(PRStatus::Success)
    })
}

/// Passes a file map to the child under a name.
///
/// # Safety
/// `name` is null or a string.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn PR_ProcessAttrSetInheritableFileMap(
    attributes: *mut PRProcessAttr,
    file_map: *mut PRFileMap,
    name: *const c_char,
) -> PRStatus {
    call(PRStatus::Failure, || {
        let attributes = find(attributes)?;
        // SAFETY: The caller passes null or a string.
        let name = unsafe { text(name, "the name of the file map") }?;
        let region = Arc::clone(file_map::find(file_map)?.shared());
        // The library checks names at the start. Trying one here would hand the region out.
        if name.is_empty() || name.len() > MAX_NAME {
            let why = format!("cannot pass a region to a child as {name:?}: a name has 1 to {MAX_NAME} bytes");
            return Err(Failure::new(Code::InvalidArgument, why));
        }
        let regions = &mut lock(&attributes).regions;
        if regions.iter().any(|(other, _)| other == name) {
            let why = format!("cannot pass a region to a child as {name:?}: these attributes already have that name");
            return Err(Failure::new(Code::FileExists, why));
        }
        regions.push((name.to_owned(), region));
        Ok(PRStatus::Success)
    })
}

/// Keeps the child apart from other processes.
#[cfg(target_os = "linux")]
#[unsafe(no_mangle)]
pub extern "C" fn heirloom_confine(attributes: *mut PRProcessAttr) -> PRStatus {
    call(PRStatus::Failure, || {
        lock(&*find(attributes)?).confined = true;
        Ok(PRStatus::Success)
    })
}

/// Seals the child off, but for reading.
///
/// # Safety
/// `readable` is null, or a list of strings that ends with a null.
#[cfg(target_os = "linux")]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn heirloom_confine_to(
    attributes: *mut PRProcessAttr,
    readable: *const *const c_char,
) -> PRStatus {
    call(PRStatus::Failure, || {
        let attributes = find(attributes)?;
        // SAFETY: The caller passes such a list, or null.
        let readable = unsafe { strings(readable.cast(), "the list of paths") }?;
        lock(&attributes).confined_to.push(readable.into_iter().map(|path| sys::path(path).to_owned()).collect());
        Ok(PRStatus::Success)
    })
}
