//! The holders of a region as a tree.

use std::fs;

use heirloom::os::linux::Holder;

/// Returns the holders, each behind the nearest of its ancestors among them, and how many of its ancestors are among them.
pub fn tree(holders: &[Holder]) -> Vec<(usize, &Holder)> {
    let mut paths: Vec<_> = holders.iter().map(|holder| (path(holder.pid, holders), holder)).collect();
    paths.sort_unstable_by(|(a, _), (b, _)| a.cmp(b));
    paths.into_iter().map(|(path, holder)| (path.len() - 1, holder)).collect()
}

/// Returns the ancestors of a holder that are holders too, the eldest first, and itself.
fn path(pid: u32, holders: &[Holder]) -> Vec<u32> {
    let mut path = vec![pid];
    let mut process = pid;
    let mut seen = vec![pid];
    // The id of a parent that has ended may be a descendant's by now.
    while let Some(parent) = parent(process).filter(|parent| !seen.contains(parent)) {
        if holders.binary_search_by_key(&parent, |holder| holder.pid).is_ok() {
            path.push(parent);
        }
        seen.push(parent);
        process = parent;
    }
    path.reverse();
    path
}

fn parent(pid: u32) -> Option<u32> {
    let status = fs::read(format!("/proc/{pid}/stat")).ok()?;
    let status = String::from_utf8_lossy(&status);
    // Before it is the command in parentheses, which may contain any character.
    let (_, fields) = status.rsplit_once(')')?;
    fields.split_ascii_whitespace().nth(1)?.parse().ok()
}
