//! Simulates older kernels by a filter that rejects newer calls as they do, see seccomp(2).

use libc::{EINVAL, ENOSYS, c_long};

use super::MEMFD_SECRET;

/// A system call that the filter rejects.
pub struct Refusal {
    /// The call's number.
    pub call: c_long,
    /// Conditions on arguments, by their index from 0. All must hold.
    pub arguments: &'static [(u32, Argument)],
    /// The error that the call returns.
    pub errno: i32,
}

/// A condition on an argument.
pub enum Argument {
    /// It has this value.
    Is(u32),
    /// It has any of these bits.
    Has(u32),
}

use Argument::{Has, Is};

/// The number of `mseal`, which not all bindings of the C library have.
pub const MSEAL: c_long = libc::SYS_pidfd_open + 28;

/// The number of `fcntl`: 32-bit systems have a separate call for 64-bit offsets.
#[cfg(target_pointer_width = "32")]
pub const FCNTL: c_long = libc::SYS_fcntl64;
/// The number of `fcntl`.
#[cfg(not(target_pointer_width = "32"))]
pub const FCNTL: c_long = libc::SYS_fcntl;

// Instructions of a filter.
pub(super) const LOAD: u16 = 0x20;
pub(super) const IF_EQUAL: u16 = 0x15;
const IF_ANY_BIT: u16 = 0x45;
pub(super) const RETURN: u16 = 0x06;

/// The offset of an argument's lower 32 bits.
pub(super) const LOWER: u32 = if cfg!(target_endian = "big") { 4 } else { 0 };

/// Returns an instruction of a filter. A test that fails skips `jf` instructions.
pub(super) fn line(code: u16, k: u32, jf: u8) -> libc::sock_filter {
    libc::sock_filter { code, jt: 0, jf, k }
}

const ADD_SEALS: u32 = 1033;
const GET_SEALS: u32 = 1034;

/// The newer features that this library or libc uses: the first Linux version that has each, and the error of earlier
/// versions as the manual pages give it.
const NEWER_FEATURES: &[((u32, u32), Refusal)] = &[
    ((3, 17), Refusal { call: libc::SYS_memfd_create, arguments: &[], errno: ENOSYS }),
    ((3, 17), Refusal { call: libc::SYS_getrandom, arguments: &[], errno: ENOSYS }),
    ((3, 17), Refusal { call: FCNTL, arguments: &[(1, Is(ADD_SEALS))], errno: EINVAL }),
    ((3, 17), Refusal { call: FCNTL, arguments: &[(1, Is(GET_SEALS))], errno: EINVAL }),
    ((4, 11), Refusal { call: libc::SYS_statx, arguments: &[], errno: ENOSYS }),
    // MFD_HUGETLB.
    ((4, 14), Refusal { call: libc::SYS_memfd_create, arguments: &[(1, Has(0x4))], errno: EINVAL }),
    // F_SEAL_FUTURE_WRITE.
    ((5, 1), Refusal { call: FCNTL, arguments: &[(1, Is(ADD_SEALS)), (2, Has(0x10))], errno: EINVAL }),
    ((5, 3), Refusal { call: libc::SYS_pidfd_open, arguments: &[], errno: ENOSYS }),
    ((5, 3), Refusal { call: libc::SYS_clone3, arguments: &[], errno: ENOSYS }),
    // P_PIDFD.
    ((5, 4), Refusal { call: libc::SYS_waitid, arguments: &[(0, Is(3))], errno: EINVAL }),
    ((5, 8), Refusal { call: libc::SYS_faccessat2, arguments: &[], errno: ENOSYS }),
    ((5, 9), Refusal { call: libc::SYS_close_range, arguments: &[], errno: ENOSYS }),
    ((5, 14), Refusal { call: MEMFD_SECRET, arguments: &[], errno: ENOSYS }),
    // MFD_NOEXEC_SEAL and MFD_EXEC.
    ((6, 3), Refusal { call: libc::SYS_memfd_create, arguments: &[(1, Has(0x18))], errno: EINVAL }),
    ((6, 10), Refusal { call: MSEAL, arguments: &[], errno: ENOSYS }),
];

/// Makes the kernel behave like that version for this process and its children.
///
/// # Panics
/// If the kernel rejects the filter.
pub fn simulate(version: (u32, u32)) {
    refuse(NEWER_FEATURES.iter().filter(|(since, _)| *since > version).map(|(_, refusal)| refusal));
}

/// Makes the kernel reject those calls for this process and its children.
///
/// # Panics
/// If the kernel rejects the filter.
pub fn refuse<'a>(refusals: impl IntoIterator<Item = &'a Refusal>) {
    let mut filter = Vec::new();
    for Refusal { call, arguments, errno } in refusals {
        let number = u32::try_from(*call).unwrap();
        // A test that fails jumps over the rest of this call's instructions.
        let mut left = 2 * u8::try_from(arguments.len()).unwrap() + 1;
        filter.extend([line(LOAD, 0, 0), line(IF_EQUAL, number, left)]);
        for (index, argument) in *arguments {
            left -= 2;
            let (test, value) = match argument {
                Is(value) => (IF_EQUAL, *value),
                Has(bits) => (IF_ANY_BIT, *bits),
            };
            filter.extend([line(LOAD, 16 + 8 * index + LOWER, 0), line(test, value, left)]);
        }
        filter.push(line(RETURN, libc::SECCOMP_RET_ERRNO | errno.unsigned_abs(), 0));
    }
    filter.push(line(RETURN, libc::SECCOMP_RET_ALLOW, 0));
    let program = libc::sock_fprog { len: u16::try_from(filter.len()).unwrap(), filter: filter.as_mut_ptr() };
    // SAFETY: `program` has the length of `filter`, which outlives the call; the kernel copies both. The rest are
    // integers.
    unsafe {
        assert_eq!(libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
        assert_eq!(libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &raw const program), 0);
    }
}
