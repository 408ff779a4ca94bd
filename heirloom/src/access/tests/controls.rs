//! What a sanitizer has to report, or it saw nothing of the others either. Only `.ci/sanitize` runs these.

use super::*;

#[test]
#[ignore = "reads past the end of the heap's memory: only for the address sanitizer"]
fn control_an_access_outside() {
    let mut heap = Heap::new(2);
    let start = heap.share(16).start();
    // SAFETY: None: there are 16 bytes, and that is what the sanitizer has to see.
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
        // SAFETY: None: the other thread writes the same byte, and that is what the sanitizer has to see.
        let unsound = scope.spawn(|| unsafe { shared.as_mut_ptr().write_volatile(2) });
        sound.join().unwrap();
        unsound.join().unwrap();
    });
}
