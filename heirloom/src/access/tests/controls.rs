//! Positive controls: errors that a sanitizer must report. Only `.ci/sanitize` runs them.

use super::*;

#[test]
#[ignore = "reads past the end of the heap's memory: only for the address sanitizer"]
fn control_an_access_outside() {
    let mut heap = Heap::new(2);
    let start = heap.share(16).start();
    // SAFETY: Deliberately unsound: there are 16 bytes, and the sanitizer must report the access.
    let shared = unsafe { SharedBytes::new(start, 24) };
    shared.read_at(16, &mut [0; 8]).unwrap();
}

#[test]
#[ignore = "a race: only for the thread sanitizer"]
fn control_a_race() {
    let mut heap = Heap::new(2);
    let shared = heap.share(16);
    thread::scope(|scope| {
        let sound = scope.spawn(|| shared.write_at(0, &[1; 8]).unwrap());
        // SAFETY: Deliberately unsound: another thread writes the same byte, and the sanitizer must report the race.
        let unsound = scope.spawn(|| unsafe { shared.as_mut_ptr().write_volatile(2) });
        sound.join().unwrap();
        unsound.join().unwrap();
    });
}
