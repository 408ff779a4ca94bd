//! Imports regions: from an export string, and from a descriptor that arrived by other means.

#![allow(unsafe_code)]

use std::sync::Arc;

use super::claim::claim_quietly;
use super::end_string::{EndString, NamedPipe};
use super::export_string::ExportString;
use super::exported::is_exported;
use super::validate::{Mismatch, Named};
use super::wanted::{PLAIN, is_accepted};
use crate::channel::{End, EndParts, Role};
use crate::region::{RegionInner, RegionKind, kind_of, validate};
use crate::sys::{self, Doorbell, Owned};
use crate::{ConvertError, Error, ErrorKind, Result};

/// Imports a region over a duplicate of the descriptor; `wanted` is the type to accept, `None` accepts those of
/// [`AnyRegion`](crate::AnyRegion).
pub(crate) fn import(string: &str, wanted: Option<&str>) -> Result<(Arc<RegionInner>, RegionKind)> {
    claim_quietly();
    let named = parse(string, wanted)?;
    let refused = |mismatch| named.refused(&format!("cannot import the region {string:?}"), mismatch);
    let region = named.region(named.duplicate().map_err(refused)?);
    keep_from_children(named).map_err(refused)?;
    Ok((Arc::new(region), named.kind))
}

/// Imports an end of a channel over duplicates of the descriptors.
pub(crate) fn import_end(string: &str, wanted: Role) -> Result<End> {
    claim_quietly();
    let Some(named) = EndString::parse(string) else {
        let region: ExportString = string.parse()?;
        let message = format!("cannot import {string:?} as the {wanted} of a channel: it is {}", region.kind);
        return Err(Error::advised(ErrorKind::WrongKind, message, right_call(region.kind)));
    };
    if named.role != wanted {
        let message = format!("cannot import {string:?} as the {wanted} of a channel: it is the {}", named.role);
        return Err(Error::advised(ErrorKind::WrongKind, message, format!("use {}::import", named.role.type_name())));
    }
    let tried = format!("cannot import the {wanted} {string:?}");
    // All before the first changes: on a mismatch the descriptors are untouched.
    let memory = named.memory.duplicate().map_err(|mismatch| named.memory.refused(&tried, mismatch))?;
    let pipe = |pipe: NamedPipe| pipe.duplicate().map_err(|mismatch| pipe.refused(&tried, mismatch));
    let pipes = [pipe(named.hears)?.0, pipe(named.rings)?.0];
    keep_from_children(named.memory).map_err(|mismatch| named.memory.refused(&tried, mismatch))?;
    for pipe in [named.hears, named.rings] {
        keep_from_children(pipe).map_err(|mismatch| pipe.refused(&tried, mismatch))?;
    }
    let doorbell = Doorbell::received(pipes).map_err(|failure| Error::system(&tried, failure))?;
    End::new(EndParts { memory: named.memory.region(memory).into(), doorbell, role: wanted })
}

/// Keeps a descriptor that a string names, and that was duplicated, from this process's children.
fn keep_from_children(named: impl Named) -> Result<(), Mismatch> {
    // Standard streams are for this process's children as well, so they stay inheritable.
    if is_exported(named.number()) || sys::is_standard(named.number()) {
        return Ok(());
    }
    named.set_close_on_exec()
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
        let advice = format!("use {}::import", end.role.type_name());
        return Err(Error::advised(ErrorKind::WrongKind, message, advice));
    }
    let named: ExportString = string.parse()?;
    if is_accepted(named.kind, wanted) {
        return Ok(named);
    }
    let message = format!("cannot import {string:?} as a {}: it is {}", wanted.unwrap_or(PLAIN), named.kind);
    Err(Error::advised(ErrorKind::WrongKind, message, right_call(named.kind)))
}

/// Returns the advice to import a region by its own type.
fn right_call(kind: RegionKind) -> String {
    // An import would leave the descriptor open beside its own.
    let call = if kind == RegionKind::Secret { "inherited" } else { "import" };
    format!("use {}::{call}", kind.type_name())
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
