//! Creating, mapping and sealing regions.

use std::ffi::CStr;
use std::path::Path;

use heirloom::{AnyRegion, ErrorKind, ReadOnlyRegion, Region};

use crate::code::Code;
use crate::error::{Failure, Result};
use crate::strings::os_string;
use crate::sys;

/// `PR_PROT_READONLY`, `PR_PROT_READWRITE` and `PR_PROT_WRITECOPY`.
const READ_ONLY: u32 = 0;
const READ_WRITE: u32 = 1;
const WRITE_COPY: u32 = 2;

/// Creates a region. `directory` is for an unnamed file, if the system has no anonymous memory.
pub(crate) fn create(directory: Option<&CStr>, size: usize, protection: u32) -> Result<AnyRegion> {
    if protection > WRITE_COPY {
        let why = format!("{protection} is not PR_PROT_READONLY, PR_PROT_READWRITE or PR_PROT_WRITECOPY");
        return Err(Failure::new(Code::InvalidArgument, why));
    }
    let size = size as u64;
    let region = match (Region::create(size), directory) {
        (Err(error), Some(directory)) if error.kind() == ErrorKind::Unsupported => {
            let directory = os_string(directory.to_bytes())?;
            Region::options().unsealed_file_in(Path::new(&*directory)).create(size)?
        }
        (Err(error), None) if error.kind() == ErrorKind::Unsupported => {
            let advice = "allow memfd_create, or pass a directory for an unnamed file";
            return Err(Failure::unadvised(&error).advised(advice));
        }
        (region, _) => region?,
    };
    // No process could write these two, so they are frozen. An unnamed file has no seals: freezing it is an error.
    Ok(match protection {
        READ_WRITE => region.into(),
        READ_ONLY => region.freeze()?.into(),
        _ => region.freeze()?.copy_on_write()?.into(),
    })
}

/// Maps `len` bytes at `offset`, for C to unmap.
pub(crate) fn map(region: &AnyRegion, offset: i64, len: u32) -> Result<*mut u8> {
    let offset = u64::try_from(offset)
        .map_err(|_| Failure::new(Code::InvalidArgument, format!("cannot map at offset {offset}: it is negative")))?;
    // NSPR's lengths are whole pages, so they may pass the end within the last page.
    let rest = region.size().saturating_sub(offset);
    let len = match u64::from(len) {
        len if len > rest && len <= rest.next_multiple_of(sys::page_size() as u64) => rest,
        len => len,
    };
    let range = offset..offset.saturating_add(len);
    let len = usize::try_from(len)
        .map_err(|_| Failure::new(Code::InvalidArgument, format!("cannot map {len} bytes: they pass the end")))?;
    // C owns the mapping: only `PR_MemUnmap` unmaps it.
    Ok(match region {
        AnyRegion::Writable(region) => {
            let mapping = region.map_range(range)?;
            sys::leak_mapping(mapping.as_mut_ptr(), len, mapping)
        }
        AnyRegion::ReadOnly(region) => {
            let mapping = region.map_range(range)?;
            sys::leak_mapping(mapping.as_ptr().cast_mut(), len, mapping)
        }
        AnyRegion::Frozen(region) if region.is_copy_on_write() => {
            let mut mapping = region.map_copy_range(range)?;
            sys::leak_mapping(mapping.as_mut_ptr(), len, mapping)
        }
        AnyRegion::Frozen(region) => {
            let mapping = region.map_range(range)?;
            sys::leak_mapping(mapping.as_ptr().cast_mut(), len, mapping)
        }
    })
}

/// Makes a region read-only. A read-only or frozen one is returned as it is.
pub(crate) fn make_read_only(region: &AnyRegion) -> Result<AnyRegion> {
    let AnyRegion::Writable(region) = region else { return Ok(region.clone()) };
    match region.clone().into_read_only() {
        Ok((read_only, _mapping)) => Ok(read_only.into()),
        // Another holder may have made it read-only.
        Err(failed) => {
            let (error, region) = failed.into_parts();
            ReadOnlyRegion::try_from(region).map(AnyRegion::ReadOnly).map_err(|_| error.into())
        }
    }
}

/// Freezes a region. A frozen one is returned as it is.
pub(crate) fn freeze(region: &AnyRegion) -> Result<AnyRegion, heirloom::Error> {
    Ok(match region.clone() {
        AnyRegion::Writable(region) => region.freeze()?.into(),
        AnyRegion::ReadOnly(region) => region.freeze()?.into(),
        frozen @ AnyRegion::Frozen(_) => frozen,
    })
}
