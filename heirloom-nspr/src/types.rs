//! The C types.

/// The return type of most functions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i32)]
pub enum PRStatus {
    /// The function failed; `PR_GetError` has the cause.
    Failure = -1,
    /// The function succeeded.
    Success = 0,
}

macro_rules! opaque {
    ($($(#[$doc:meta])* $name:ident;)*) => {$(
        $(#[$doc])*
        #[derive(Debug)]
        #[repr(C)]
        pub struct $name {
            _opaque: [u8; 0],
        }
    )*};
}

opaque! {
    /// A region. Those of this library are handles: addresses without memory behind them.
    PRFileMap;
    /// Attributes for starting a process. A handle.
    PRProcessAttr;
    /// An NSPR file, socket or pipe, which only NSPR dereferences.
    PRFileDesc;
}
