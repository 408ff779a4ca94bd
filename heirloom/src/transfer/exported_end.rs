use std::fmt;

use super::claim::claim_quietly;
use super::end_string::EndString;
use super::exported::{forget_export, remember_export};
use crate::channel::End;
use crate::{Error, ErrorKind, Result, sys};

/// An end of a channel that was given up, its export string and the descriptors that this names; from `export_inheritable` of a
/// sender or a receiver.
///
/// Every child that starts while it lives inherits the descriptors, and one of them imports the string. Drop it as soon as that
/// child has started: until then the peer isn't told of the child's death. If no child imports it, the peer is told when this is
/// dropped. On Windows, a launcher that lists the inherited handles, such as [`Command`](crate::Command), doesn't pass them.
///
/// ```
/// # if cfg!(not(any(target_os = "linux", target_os = "android", windows))) { return Ok(()) }
/// use std::process::Command;
///
/// let (sender, mut receiver) = heirloom::channel(4096)?;
/// let exported = sender.export_inheritable()?;
/// // A program that would call Sender::import.
/// let child = Command::new("true").env("ANSWERS", exported.as_str()).spawn();
/// drop(exported);
/// # child.unwrap().wait().unwrap();
/// assert_eq!(receiver.recv().unwrap_err().kind(), heirloom::ErrorKind::PeerGone);
/// # Ok::<(), heirloom::Error>(())
/// ```
pub struct ExportedEnd {
    end: End,
    string: String,
}

/// Makes the descriptors of an end inheritable.
pub(crate) fn export_end(mut end: End) -> Result<ExportedEnd> {
    claim_quietly();
    let role = end.parts().role;
    let failed = |failure| Error::system(format_args!("cannot export the {role} of a channel"), failure);
    let string = EndString::new(end.parts()).map_err(failed)?.to_string();
    for descriptor in end.parts().descriptors() {
        sys::set_close_on_exec(descriptor, false).map_err(|error| failed(error.into()))?;
    }
    // The pipes tell the peer when the last process that has them ends. A child may use the end by now.
    end.leave();
    end.parts().descriptors().into_iter().for_each(|descriptor| remember_export(sys::number_of(descriptor)));
    Ok(ExportedEnd { end, string })
}

impl ExportedEnd {
    /// Returns the numbers of the descriptors that the string of an end names (on Windows, of the handles): of the memory, of the
    /// pipe that it reads and of the one that it writes.
    ///
    /// For a launcher that must list what a child inherits.
    ///
    /// # Errors
    /// [`ErrorKind::Malformed`]: the string is not that of an end.
    ///
    /// ```
    /// # if cfg!(not(any(target_os = "linux", target_os = "android", windows))) { return Ok(()) }
    /// use heirloom::ExportedEnd;
    ///
    /// let (sender, _receiver) = heirloom::channel(4096)?;
    /// let exported = sender.export_inheritable()?;
    /// let [memory, ..] = ExportedEnd::descriptor_numbers(exported.as_str())?;
    /// assert!(exported.as_str().starts_with(&format!("{memory}:")));
    /// # Ok::<(), heirloom::Error>(())
    /// ```
    pub fn descriptor_numbers(string: &str) -> Result<[i32; 3]> {
        let Some(named) = EndString::parse(string) else {
            return Err(Error::new(ErrorKind::Malformed, format!("{string:?} is not the string of a channel's end")));
        };
        Ok([named.memory.number, named.hears.number, named.rings.number])
    }

    /// Returns the string for the child to import.
    ///
    /// ```
    /// # if cfg!(not(any(target_os = "linux", target_os = "android", windows))) { return Ok(()) }
    /// let (sender, _receiver) = heirloom::channel(4096)?;
    /// assert!(sender.export_inheritable()?.as_str().contains(":sender:"));
    /// # Ok::<(), heirloom::Error>(())
    /// ```
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.string
    }
}

impl Drop for ExportedEnd {
    fn drop(&mut self) {
        self.end.parts().descriptors().into_iter().for_each(|descriptor| forget_export(sys::number_of(descriptor)));
    }
}

impl AsRef<str> for ExportedEnd {
    fn as_ref(&self) -> &str {
        self.as_str()
    }
}

impl fmt::Display for ExportedEnd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.string)
    }
}

impl fmt::Debug for ExportedEnd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ExportedEnd").field("string", &self.string).finish_non_exhaustive()
    }
}
