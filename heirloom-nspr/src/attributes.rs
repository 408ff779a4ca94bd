//! What a process is to be started with.

#![allow(unsafe_code, non_snake_case)]

use std::ffi::c_char;
use std::fmt;
use std::path::PathBuf;
use std::ptr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::error::{Code, Failure, Result, answer};
use crate::file_map::{Shared, ours};
use crate::handles::Handles;
use crate::nspr::{self, Nspr};
use crate::sys;
use crate::types::{PRFileDesc, PRFileMap, PRProcessAttr, PRStatus, os_string, string, text};

/// How many bytes the name of a region has at most.
const LONGEST_NAME: usize = 240;

/// All that are not destroyed yet.
static ATTRIBUTES: Handles<Mutex<Attributes>> = Handles::new();

/// The choices for one process, or several.
#[derive(Clone, Default)]
pub(crate) struct Attributes {
    /// Whose descriptors become its standard input, output and error. They stay their owners': a pipe must end when
    /// these close it.
    pub(crate) standard: [Option<i32>; 3],
    pub(crate) directory: Option<PathBuf>,
    pub(crate) files: Vec<InheritedFile>,
    pub(crate) regions: Vec<(String, Arc<Shared>)>,
    /// What a function that returns nothing couldn't say.
    flaw: Option<Failure>,
}

/// An open file that the child finds by `PR_GetInheritedFD`, under its number.
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
    /// What attributes are now; none at all where the pointer is null.
    pub(crate) fn of(attributes: *const PRProcessAttr) -> Result<Self> {
        if attributes.is_null() {
            return Ok(Self::default());
        }
        let attributes = locked(&*find(attributes)?).clone();
        match attributes.flaw {
            None => Ok(attributes),
            Some(flaw) => Err(flaw),
        }
    }

    fn redirect(&mut self, stream: u32, file: *mut PRFileDesc) -> Result<()> {
        let Some(standard) = self.standard.get_mut(stream as usize) else {
            let why = format!("{stream} is none of PR_StandardInput, PR_StandardOutput and PR_StandardError");
            return Err(Failure::new(Code::InvalidArgument, why));
        };
        *standard = None;
        if !file.is_null() {
            // SAFETY: The caller of both functions that come here passes a file of NSPR's.
            *standard = Some(unsafe { descriptor(needed("a redirection")?, file) }?);
        }
        Ok(())
    }
}

/// Whether an address lies among those of attributes.
pub(crate) fn contains(address: usize) -> bool {
    ATTRIBUTES.contains(address)
}

fn find(attributes: *const PRProcessAttr) -> Result<Arc<Mutex<Attributes>>> {
    ATTRIBUTES.find(attributes.addr()).ours("PRProcessAttr")
}

fn locked(attributes: &Mutex<Attributes>) -> MutexGuard<'_, Attributes> {
    attributes.lock().unwrap_or_else(PoisonError::into_inner)
}

fn needed(what: &str) -> Result<&'static Nspr> {
    nspr::find().ok_or_else(|| {
        let why = format!("{what} needs NSPR, whose PRFileDesc it takes, and this program is not linked with it");
        Failure::new(Code::OperationNotSupported, why)
    })
}

/// The system's own descriptor of a file of NSPR's.
///
/// # Safety
/// `file` is one.
unsafe fn descriptor(nspr: &Nspr, file: *mut PRFileDesc) -> Result<i32> {
    // SAFETY: By the caller.
    unsafe { nspr.descriptor(file) }
        .ok_or_else(|| Failure::new(Code::InvalidArgument, "that file has no descriptor of the system's"))
}

/// New attributes: nothing redirected, nothing inherited.
#[unsafe(no_mangle)]
pub extern "C" fn PR_NewProcessAttr() -> *mut PRProcessAttr {
    answer(ptr::null_mut(), || Ok(ptr::without_provenance_mut(ATTRIBUTES.open(Arc::default())?)))
}

/// Makes attributes as new.
#[unsafe(no_mangle)]
pub extern "C" fn PR_ResetProcessAttr(attributes: *mut PRProcessAttr) {
    answer((), || {
        *locked(&*find(attributes)?) = Attributes::default();
        Ok(())
    });
}

/// Destroys attributes.
#[unsafe(no_mangle)]
pub extern "C" fn PR_DestroyProcessAttr(attributes: *mut PRProcessAttr) {
    answer((), || ATTRIBUTES.close(attributes.addr()).ours("PRProcessAttr").map(drop));
}

/// Redirects standard input (0), output (1) or error (2).
///
/// # Safety
/// `file` is one of NSPR's, or null.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn PR_ProcessAttrSetStdioRedirect(
    attributes: *mut PRProcessAttr,
    stream: u32,
    file: *mut PRFileDesc,
) {
    answer((), || {
        let attributes = find(attributes)?;
        let mut attributes = locked(&attributes);
        let redirected = attributes.redirect(stream, file);
        // This function has no way to say so: the start of a process with these attributes does.
        attributes.flaw = redirected.clone().err().or(attributes.flaw.take());
        redirected
    });
}

/// An older name of `PR_ProcessAttrSetStdioRedirect`.
///
/// # Safety
/// As for that.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn PR_SetStdioRedirect(attributes: *mut PRProcessAttr, stream: u32, file: *mut PRFileDesc) {
    // SAFETY: By the caller.
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
    answer(PRStatus::Failure, || {
        // SAFETY: By the caller.
        let directory = unsafe { string(directory, "the directory") }?;
        let directory = os_string(directory.to_bytes())?.into_owned();
        locked(&*find(attributes)?).directory = Some(directory.into());
        Ok(PRStatus::Success)
    })
}

/// Lets the child find an open file of NSPR's by `PR_GetInheritedFD`.
///
/// # Safety
/// `file` is one of NSPR's, or null; `name` is null or a string.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn PR_ProcessAttrSetInheritableFD(
    attributes: *mut PRProcessAttr,
    file: *mut PRFileDesc,
    name: *const c_char,
) -> PRStatus {
    answer(PRStatus::Failure, || {
        let attributes = find(attributes)?;
        // SAFETY: By the caller.
        let name = unsafe { text(name, "the name of the file") }?;
        let nspr = needed("an inherited file")?;
        let refused = |code, why: &'static str| Err(Failure::new(code, why));
        if file.is_null() {
            return refused(Code::InvalidArgument, "the file is NULL");
        }
        if name.is_empty() || name.contains(':') {
            return refused(Code::InvalidArgument, "a name is not empty, and has no colon in it");
        }
        // SAFETY: By the caller, and it isn't null.
        let (is_plain, kind) = unsafe { (nspr.is_plain(file), nspr.desc_type(file)) };
        if !is_plain {
            return refused(Code::InvalidArgument, "a layered file can't be inherited");
        }
        // SAFETY: As above.
        let number = unsafe { descriptor(nspr, file) }?;
        if sys::is_close_on_exec(number) != Some(false) {
            return refused(Code::NoAccessRights, "it is not inheritable: PR_SetFDInheritable makes it so");
        }
        locked(&attributes).files.push(InheritedFile { name: name.to_owned(), kind, number });
        Ok(PRStatus::Success)
    })
}

/// Hands a file map down under a name.
///
/// # Safety
/// `name` is null or a string.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn PR_ProcessAttrSetInheritableFileMap(
    attributes: *mut PRProcessAttr,
    file_map: *mut PRFileMap,
    name: *const c_char,
) -> PRStatus {
    answer(PRStatus::Failure, || {
        let attributes = find(attributes)?;
        // SAFETY: By the caller.
        let name = unsafe { text(name, "the name of the file map") }?;
        let region = Arc::clone(ours(file_map)?.shared());
        // Now, rather than at the start, is when to say what is wrong with a name. To try it out would hand it down.
        if name.is_empty() || name.len() > LONGEST_NAME {
            let why = format!("cannot hand down a region as {name:?}: a name has 1 to {LONGEST_NAME} bytes");
            return Err(Failure::new(Code::InvalidArgument, why));
        }
        let regions = &mut locked(&attributes).regions;
        if regions.iter().any(|(other, _)| other == name) {
            let why = format!("cannot hand down a region as {name:?}: another one has that name on these attributes");
            return Err(Failure::new(Code::FileExists, why));
        }
        regions.push((name.to_owned(), region));
        Ok(PRStatus::Success)
    })
}
