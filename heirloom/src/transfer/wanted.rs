//! Which kinds of regions a call accepts.

use crate::region::RegionKind;

/// The noun for what a call accepts that names no type.
pub(super) const PLAIN: &str = "plain region";

/// Returns whether a call for regions of the type `wanted` accepts this kind. `None` stands for
/// [`AnyRegion`](crate::AnyRegion): every kind but a secret one, which hardly any call of the other types works with.
pub(super) fn is_accepted(kind: RegionKind, wanted: Option<&str>) -> bool {
    wanted.map_or(kind != RegionKind::Secret, |wanted| wanted == kind.type_name())
}
