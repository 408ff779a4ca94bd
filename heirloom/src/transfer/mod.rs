//! Passes regions to other processes: by name on a command (inheritance), by export string, or by descriptor. Ends of channels
//! by the first two.
//!
//! Inheritance is the export string with the transport included: the variable `HEIRLOOM_REGIONS` carries pairs of a name
//! and an export string. `docs/format.md` specifies both.

mod claim;
mod end_string;
mod export_string;
mod exported;
mod exported_end;
mod fork;
mod hand_down;
mod import;
mod inherited;
mod listed;
mod validate;
mod variable;
mod wanted;

pub use claim::claim;
pub(crate) use claim::claim_quietly;
pub use exported::ExportedRegion;
pub(crate) use exported::{export, export_inheritable};
pub use exported_end::ExportedEnd;
pub(crate) use exported_end::export_end;
pub use fork::forking;
pub(crate) use hand_down::{hand_down, hand_down_end};
pub(crate) use import::{import, import_end, import_owned, receive};
pub use inherited::{Inherited, InheritedState, inherited};
pub(crate) use inherited::{take, take_end};
pub(crate) use variable::Variable;
#[cfg(fuzzing)]
pub(crate) use variable::parse as parse_variable;
pub use variable::{VARIABLE, unset_variable};
