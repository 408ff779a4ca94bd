//! Kernels older than this one: a filter that answers as they do, see seccomp(2).

use libc::{EINVAL, ENOSYS, c_long};

/// A call that is refused.
pub struct Refusal {
    /// Its number.
    pub call: c_long,
    /// What must be so of its arguments, each counted from 0.
    pub arguments: &'static [(u32, Argument)],
    /// What it answers.
    pub errno: i32,
}

/// What an argument must be.
pub enum Argument {
    /// That value.
    Is(u32),
    /// One that has one of those bits.
    Has(u32),
}

use Argument::{Has, Is};

/// Of 32 bits, the call whose offsets have 64 is another one.
#[cfg(target_pointer_width = "32")]
const FCNTL: c_long = libc::SYS_fcntl64;
#[cfg(not(target_pointer_width = "32"))]
const FCNTL: c_long = libc::SYS_fcntl;

const ADD_SEALS: u32 = 1033;
const GET_SEALS: u32 = 1034;

/// What this library, or the C library for it, asks a kernel for that not every one has: since when, and what those before
/// answer, as the calls' manual pages have it.
const NEWCOMERS: &[((u32, u32), Refusal)] = &[
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
    // MFD_NOEXEC_SEAL and MFD_EXEC.
    ((6, 3), Refusal { call: libc::SYS_memfd_create, arguments: &[(1, Has(0x18))], errno: EINVAL }),
];

/// From now on this process and its children are answered as by that version.
///
/// # Panics
/// Where the kernel takes no filter.
pub fn answer_as(version: (u32, u32)) {
    refuse(NEWCOMERS.iter().filter(|(since, _)| *since > version).map(|(_, refusal)| refusal));
}

/// From now on this process and its children are refused those calls.
///
/// # Panics
/// Where the kernel takes no filter.
pub fn refuse<'a>(refusals: impl IntoIterator<Item = &'a Refusal>) {
    const LOAD: u16 = 0x20;
    const IF_EQUAL: u16 = 0x15;
    const IF_ANY_BIT: u16 = 0x45;
    const RETURN: u16 = 0x06;
    const REFUSE: u32 = 0x0005_0000;
    const ALLOW: u32 = 0x7fff_0000;
    // Of an argument, which has 64 bits, the lower half.
    const LOWER: u32 = if cfg!(target_endian = "big") { 4 } else { 0 };
    let line = |code, k, jf| libc::sock_filter { code, jt: 0, jf, k };
    let mut filter = Vec::new();
    for Refusal { call, arguments, errno } in refusals {
        let number = u32::try_from(*call).unwrap();
        // Where a test fails, what is left of these lines is passed over.
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
        filter.push(line(RETURN, REFUSE | errno.unsigned_abs(), 0));
    }
    filter.push(line(RETURN, ALLOW, 0));
    let program = libc::sock_fprog { len: u16::try_from(filter.len()).unwrap(), filter: filter.as_mut_ptr() };
    // SAFETY: Plain numbers, and a program of as many lines as it says, which the kernel copies.
    unsafe {
        assert_eq!(libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
        assert_eq!(libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &raw const program), 0);
    }
}
