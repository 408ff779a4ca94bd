//! Protocol one, the parent's side: a region and a name for it, put on a command.

use std::os::fd::{AsFd, AsRawFd};
use std::sync::Arc;

use crate::export::ExportString;
use crate::heirloom::Heirloom;
use crate::inheritance::claim_quietly;
use crate::object::Object;
use crate::variable::{VARIABLE, Variable};
use crate::{Error, Result, sys};

/// Adds a region to the variable; what is returned is to be inherited under the number it has.
pub(crate) fn hand_down(variable: &mut Variable, name: &str, region: &impl Heirloom) -> Result<Arc<Object>> {
    claim_quietly();
    let mut object = Arc::clone(region.object());
    let number = object.as_fd().as_raw_fd();
    // The child claims a number only where it is listed once, and none that its own redirections may use.
    if sys::is_standard(number) || variable.lists(number) {
        object = Arc::new(object.another()?);
    }
    let string = ExportString::new(object.as_fd(), &object, region.kind())
        .map_err(|failure| Error::system(format_args!("cannot hand down {object}"), failure))?;
    variable.push(name, string)?;
    Ok(object)
}

/// Hands regions down through [`std::process::Command`], and so through what is built on it, such as tokio's (by its
/// `as_std_mut`).
///
/// The price, beside [`heirloom::Command`](crate::Command): the standard library then starts the program by `fork`, whose
/// cost grows with the memory that this process uses; `docs/benchmarks.md` shows how much.
///
/// ```
/// use heirloom::{InheritExt, Region};
///
/// let frames = Region::create(4096)?;
/// let status = std::process::Command::new("true").inherit("frames", &frames)?.status()?;
/// assert!(status.success());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub trait InheritExt: Sealed {
    /// Hands `region` down to what this command starts, under `name`.
    ///
    /// The names travel in the command's environment: `env_clear` afterwards loses them, and the child then can't find
    /// what it inherits. Nobody else's child gets the region. The handle may be dropped before the spawn.
    ///
    /// With the standard library's `exec`, which becomes the program, a failure leaves the region open to every child of
    /// this process: [`Command::exec`](crate::Command::exec) doesn't.
    ///
    /// # Errors
    /// As for [`Command::inherit`](crate::Command::inherit).
    ///
    /// ```
    /// use heirloom::{InheritExt, Region};
    ///
    /// let region = Region::create(4096)?;
    /// let mut command = std::process::Command::new("worker");
    /// command.arg("--fast").inherit("jobs", &region)?;
    /// # Ok::<(), heirloom::Error>(())
    /// ```
    fn inherit(&mut self, name: &str, region: &impl Heirloom) -> Result<&mut Self>;
}

pub trait Sealed {}

impl Sealed for std::process::Command {}

impl InheritExt for std::process::Command {
    fn inherit(&mut self, name: &str, region: &impl Heirloom) -> Result<&mut Self> {
        let listed = self.get_envs().find(|(key, _)| *key == VARIABLE);
        let listed = listed.and_then(|(_, value)| value?.to_str());
        let mut variable = listed.map_or_else(Variable::default, Variable::resume);
        let object = hand_down(&mut variable, name, region)?;
        self.env(VARIABLE, variable.as_str());
        sys::pass_with_std(self, object);
        Ok(self)
    }
}
