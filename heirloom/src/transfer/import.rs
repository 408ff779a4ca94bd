//! Imports regions: from an export string, and from a descriptor that arrived by other means.

#![allow(unsafe_code)]

use std::sync::Arc;

use super::claim::claim_quietly;
use super::end_string::EndString;
use super::export_string::ExportString;
use super::exported::is_exported;
use super::validate::Named;
use crate::region::{RegionInner, RegionKind, kind_of, validate};
use crate::sys::{self, Owned};
use crate::{ConvertError, Error, ErrorKind, Result};

/// Imports a region over a duplicate of the descriptor; `wanted` is the type to accept, `None` accepts any.
pub(crate) fn import(string: &str, wanted: Option<&str>) -> Result<(Arc<RegionInner>, RegionKind)> {
    claim_quietly();
    let named = parse(string, wanted)?;
    let refused = |mismatch| named.refused(&format!("cannot import the region {string:?}"), mismatch);
    let region = named.region(named.duplicate().map_err(refused)?);
    // Standard streams are for this process's children as well, so they stay inheritable.
    if !is_exported(named.number) && !sys::is_standard(named.number) {
        named.set_close_on_exec().map_err(refused)?;
    }
    Ok((Arc::new(region), named.kind))
}

/// Imports a region over the descriptor itself.
///
/// # Safety
/// Nothing else in this process owns the descriptor that the string names.
pub(crate) unsafe fn import_owned(string: &str, wanted: Option<&str>) -> Result<(Arc<RegionInner>, RegionKind)> {
    let named = parse(string, wanted)?;
    let refused = |mismatch| named.refused(&format!("cannot import the region {string:?}"), mismatch);
    // Reserve before the claim, which duplicates close-on-exec descriptors instead of taking them over.
    let reserved = named.reserve().map_err(refused)?;
    claim_quietly();
    // SAFETY: The status is from `reserve`; the caller guarantees the rest.
    let taken = unsafe { named.take_over(reserved.status) };
    Ok((Arc::new(named.region(taken)), named.kind))
}

fn parse(string: &str, wanted: Option<&str>) -> Result<ExportString> {
    if let Some(end) = EndString::parse(string) {
        let message = format!("cannot import {string:?} as a region: it is the {} of a channel", end.role);
        let advice = format!("use {}::inherited", end.role.type_name());
        return Err(Error::advised(ErrorKind::WrongKind, message, advice));
    }
    let named: ExportString = string.parse()?;
    let has = named.kind.type_name();
    let Some(wanted) = wanted.filter(|wanted| *wanted != has) else { return Ok(named) };
    let message = format!("cannot import {string:?} as a {wanted}: it is {}", named.kind);
    Err(Error::advised(ErrorKind::WrongKind, message, format!("use {has}::import")))
}

/// Makes a region from a descriptor that arrived by other means, or returns the descriptor. Without a `wanted` kind, the
/// seals decide.
pub(crate) fn receive(
    descriptor: Owned,
    wanted: Option<RegionKind>,
) -> Result<(Arc<RegionInner>, RegionKind), ConvertError<Owned>> {
    let tried = "cannot take a descriptor as a region";
    let status = sys::status(&descriptor).map(|status| (wanted.unwrap_or_else(|| kind_of(&status)), status));
    let error = match status {
        Err(failure) => Error::system(tried, failure),
        Ok((kind, status)) => match validate(&status, kind) {
            Err(why) => Error::new(ErrorKind::Mismatch, format!("{tried}: {why}")),
            Ok(()) if kind == RegionKind::Writable && status.seals.new_writers => {
                let message = format!("{tried}: it is read-only or frozen");
                Error::advised(ErrorKind::WrongKind, message, "use ReadOnlyRegion or FrozenRegion")
            }
            Ok(()) => match sys::set_close_on_exec(&descriptor, true) {
                Ok(()) => {
                    // Only now: a claim duplicates a close-on-exec descriptor and leaves it to its owner.
                    claim_quietly();
                    return Ok((RegionInner::received(descriptor, kind, &status).into(), kind));
                }
                Err(error) => Error::system(tried, error.into()),
            },
        },
    };
    Err(ConvertError::new(error, descriptor))
}
