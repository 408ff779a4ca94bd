//! What a name may be, of a region or for handing it down.

use crate::{Error, ErrorKind, Result};

/// The kernel takes 249 bytes for the name of memory, of which `heirloom:` is 9.
const LONGEST: usize = 240;

pub(crate) fn check(name: &str) -> Result<()> {
    let wrong = if name.is_empty() {
        "a name can't be empty".to_owned()
    } else if name.contains('\0') {
        format!("the name {name:?} holds a NUL byte")
    } else if name.len() > LONGEST {
        format!("a name of {} bytes is too long: {LONGEST} bytes at the most", name.len())
    } else {
        return Ok(());
    };
    Err(Error::new(ErrorKind::InvalidInput, wrong))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_empty_long_and_nul_names_are_refused() {
        for name in ["", "a\0b", &"x".repeat(241), &"🦀".repeat(61)] {
            assert_eq!(check(name).unwrap_err().kind(), ErrorKind::InvalidInput, "{name:?}");
        }
        for name in ["a", "=:%, \n", "🦀", &"x".repeat(240), &"🦀".repeat(60)] {
            assert!(check(name).is_ok(), "{name:?}");
        }
    }
}
