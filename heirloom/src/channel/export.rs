//! Export strings of both ends.

use super::{Receiver, Role, Sender};
use crate::{ExportedEnd, Result, transfer};

/// Implements export strings for an end. `$word` is its name in lower case, and `$variable` one for the example.
macro_rules! export {
    ($end:ident, $word:ident, $variable:literal) => {
        impl $end {
            /// Gives this end up to a child that is started by other means, which imports the string.
            ///
            /// Every child that starts while the returned value lives inherits the end: see [`ExportedEnd`]. Where
            /// [`Command`](crate::Command) or `InheritExt` start the child, `inherit_end` moves it to that child alone.
            ///
            /// # Errors
            /// [`ErrorKind::System`](crate::ErrorKind::System): the kernel refused.
            ///
            /// ```
            /// # if cfg!(not(any(target_os = "linux", target_os = "android", windows))) { return Ok(()) }
            /// let (sender, receiver) = heirloom::channel(4096)?;
            #[doc = concat!("let exported = ", stringify!($word), ".export_inheritable()?;")]
            /// println!("import {exported}");
            /// # Ok::<(), heirloom::Error>(())
            /// ```
            pub fn export_inheritable(self) -> Result<ExportedEnd> {
                transfer::export_end(self.0)
            }

            #[doc = concat!("Imports the ", stringify!($word), " that an export string names, over descriptors of its own.")]
            ///
            /// The inherited descriptors become close-on-exec, and stay open until the process ends.
            ///
            /// # Errors
            /// As for [`Region::import`](crate::Region::import).
            ///
            /// ```no_run
            #[doc = concat!("let end = heirloom::", stringify!($end), "::import(&std::env::var(\"", $variable, "\")?)?;")]
            /// # Ok::<(), Box<dyn std::error::Error>>(())
            /// ```
            pub fn import(string: &str) -> Result<Self> {
                transfer::import_end(string, Role::$end).map(Self)
            }
        }
    };
}

export!(Sender, sender, "ANSWERS");
export!(Receiver, receiver, "JOBS");
