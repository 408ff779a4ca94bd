//! The memory that is available.

use std::path::Path;

/// Returns how many bytes can be allocated before the kernel has to kill a process: the least of what the machine has, see
/// `proc_meminfo(5)`, and what each memory cgroup of this process has.
pub(crate) fn available_memory() -> u64 {
    let number = |path: &Path| -> Option<u64> { std::fs::read_to_string(path).ok()?.trim().parse().ok() };
    let meminfo = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let swap = field(&meminfo, "SwapFree:").unwrap_or(0);
    let mut available = field(&meminfo, "MemAvailable:").map_or(u64::MAX, |memory| (memory + swap) << 10);
    for line in std::fs::read_to_string("/proc/self/cgroup").unwrap_or_default().lines() {
        let mut fields = line.splitn(3, ':').skip(1);
        let (root, most, used) = match fields.next() {
            Some("") => ("/sys/fs/cgroup", "memory.max", "memory.current"),
            // Version 1, in which each controller has a tree of its own.
            Some("memory") => ("/sys/fs/cgroup/memory", "memory.limit_in_bytes", "memory.usage_in_bytes"),
            _ => continue,
        };
        let group = Path::new(root).join(fields.next().unwrap_or_default().trim_start_matches('/'));
        for group in group.ancestors().take_while(|group| group.starts_with(root)) {
            // Without a limit, version 2 has a word instead of a number.
            if let (Some(most), Some(used)) = (number(&group.join(most)), number(&group.join(used))) {
                // Reading the size of the cache takes the kernel up to a millisecond, so do it only if it matters.
                if most.saturating_sub(used) < available {
                    let used = used.saturating_sub(file_cache(group));
                    available = available.min(most.saturating_sub(used));
                }
            }
        }
    }
    available
}

/// Returns the size of a cgroup's file cache, which the kernel reclaims before it kills a process.
fn file_cache(group: &Path) -> u64 {
    let stat = std::fs::read_to_string(group.join("memory.stat")).unwrap_or_default();
    // Version 2 includes descendants in each field; version 1 has separate fields for the totals.
    let names = if stat.contains("\ntotal_") {
        ["total_active_file", "total_inactive_file"]
    } else {
        ["active_file", "inactive_file"]
    };
    names.iter().filter_map(|name| field(&stat, name)).sum()
}

/// Returns the number in the line that begins with `name`.
fn field(text: &str, name: &str) -> Option<u64> {
    let mut lines = text.lines().map(str::split_ascii_whitespace);
    lines.find_map(|mut words| (words.next() == Some(name)).then(|| words.next()?.parse().ok())?)
}
