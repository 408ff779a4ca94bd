//! G5, it is data, not a program: under each setting of `vm.memfd_noexec`. The ways to execute it are in G3's table.

use std::process::Command;

use heirloom_conformance::skip;

use crate::CHILD;

#[test]
fn g5_regions_are_made_and_not_executed_under_every_setting_of_memfd_noexec() {
    for setting in 0..=2 {
        let script = format!("echo {setting} > /proc/sys/vm/memfd_noexec && exec \"$0\" make-and-execute");
        let mut command = Command::new("unshare");
        command.args(["-Urpf", "--mount-proc", "sh", "-c", &script, CHILD]);
        let output = command.output().unwrap();
        let told = String::from_utf8(output.stdout).unwrap();
        if !output.status.success() && told.is_empty() {
            let why = String::from_utf8_lossy(&output.stderr);
            return skip(format_args!("no user can make a pid namespace with settings of its own: {why}"));
        }
        assert_eq!(told, format!("{}\n", libc::EACCES), "vm.memfd_noexec = {setting}");
    }
}
