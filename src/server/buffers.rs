//! Buffers of large frames, used again: memory that the kernel has zeroed once is not given back and zeroed anew.
//!
//! A frame's buffer lives as long as its records do: in the open slot, on the way to the store, in the tail. What leaves
//! there comes back here, in the thread that drops it. Without this the allocator returns megabytes at a time to the
//! system, and first touching them again costs more than everything else that a produce does.
//!
//! Invariant: free buffers never hold more than `bytes_max`; what lay unused for a whole [`TRIM_EVERY`] goes back to the
//! system, so an idle broker keeps nothing.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use bytes::Bytes;

use crate::base::clock::sleep;
use crate::base::task;

/// What lay free all the time since the last trim is released this often.
const TRIM_EVERY: Duration = Duration::from_secs(10);
/// The smallest class: smaller frames share a read buffer.
const SMALLEST: usize = 16 << 10;
/// Classes between a power of two and the next: at most an eighth of a buffer is waste.
const STEPS: usize = 8;
/// Classes from 16 KiB to 2 MiB.
const CLASSES: usize = 7 * STEPS + 1;
/// The largest class. Larger frames are rare, and grow with what arrives.
pub(super) const LARGEST: usize = SMALLEST << 7;

/// Buffers that wait for their next frame. Clones share them.
#[derive(Debug, Clone)]
pub struct FrameBuffers(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    bytes_max: usize,
    free: Mutex<Free>,
}

#[derive(Debug)]
struct Free {
    classes: Vec<Vec<Vec<u8>>>,
    bytes: usize,
    /// The least of `bytes` since the last trim: nobody needed these.
    unused: usize,
}

/// A buffer on loan: empty at first, with at least the capacity that was asked for. Dropping it gives it back.
#[derive(Debug)]
pub(super) struct Buffer {
    bytes: Vec<u8>,
    home: Weak<Shared>,
}

impl FrameBuffers {
    /// No buffers yet; at most `bytes_max` of free ones are kept.
    #[must_use]
    pub fn new(bytes_max: usize) -> Self {
        let free = Free { classes: vec![Vec::new(); CLASSES], bytes: 0, unused: 0 };
        Self(Arc::new(Shared { bytes_max, free: Mutex::new(free) }))
    }

    /// Releases what nobody needs, until the last clone is gone.
    pub(super) fn start_trimming(&self) {
        let shared = Arc::downgrade(&self.0);
        task::spawn("server-buffers", async move {
            loop {
                sleep(TRIM_EVERY).await;
                let Some(shared) = shared.upgrade() else { return };
                // Freed outside the lock.
                drop(shared.free().trim());
            }
        });
    }

    /// A buffer for a frame of `length` bytes, at most [`LARGEST`].
    pub(super) fn take(&self, length: usize) -> Buffer {
        let class = class_of(length);
        let used = self.0.free().take(class);
        let bytes = used.unwrap_or_else(|| Vec::with_capacity(class_bytes(class)));
        Buffer { bytes, home: Arc::downgrade(&self.0) }
    }
}

impl Buffer {
    /// What has been written.
    pub(super) fn bytes_mut(&mut self) -> &mut Vec<u8> {
        &mut self.bytes
    }

    /// The content, shared from here on; the buffer comes back when its last slice is dropped.
    pub(super) fn freeze(self) -> Bytes {
        Bytes::from_owner(self)
    }
}

impl AsRef<[u8]> for Buffer {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        let Some(home) = self.home.upgrade() else { return };
        let bytes = std::mem::take(&mut self.bytes);
        // Dropped outside the lock if there is no room.
        let _surplus = home.free().give_back(bytes, home.bytes_max);
    }
}

impl Shared {
    fn free(&self) -> MutexGuard<'_, Free> {
        self.free.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Free {
    fn take(&mut self, class: usize) -> Option<Vec<u8>> {
        let buffer = self.classes[class].pop()?;
        self.bytes -= buffer.capacity();
        self.unused = self.unused.min(self.bytes);
        Some(buffer)
    }

    fn give_back(&mut self, mut buffer: Vec<u8>, bytes_max: usize) -> Option<Vec<u8>> {
        let bytes = buffer.capacity();
        let class = class_of(bytes);
        // One that grew past its class would be found by frames that it does not fit.
        if class_bytes(class) != bytes || self.bytes + bytes > bytes_max {
            return Some(buffer);
        }
        buffer.clear();
        self.bytes += bytes;
        self.classes[class].push(buffer);
        None
    }

    /// Takes out what lay unused since the last call, the oldest of each class first.
    fn trim(&mut self) -> Vec<Vec<u8>> {
        let mut released = Vec::new();
        let mut surplus = self.unused;
        for class in &mut self.classes {
            let count = class.len().min(match class.first() {
                Some(buffer) => surplus / buffer.capacity(),
                None => 0,
            });
            for buffer in class.drain(..count) {
                surplus -= buffer.capacity();
                self.bytes -= buffer.capacity();
                released.push(buffer);
            }
        }
        self.unused = self.bytes;
        released
    }
}

/// The first class that holds `bytes`.
fn class_of(bytes: usize) -> usize {
    let bytes = bytes.clamp(SMALLEST, LARGEST);
    // The power of two below the last byte, and the eighth of it in which that byte lies.
    let last = bytes - 1;
    if last < SMALLEST {
        return 0;
    }
    let power = last.ilog2() as usize;
    let step = (last - (1 << power)) >> (power - STEPS.ilog2() as usize);
    (power - SMALLEST.ilog2() as usize) * STEPS + step + 1
}

/// The capacity of a class's buffers.
fn class_bytes(class: usize) -> usize {
    let Some(above) = class.checked_sub(1) else { return SMALLEST };
    let power = SMALLEST << (above / STEPS);
    power + (above % STEPS + 1) * (power / STEPS)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn free_bytes(buffers: &FrameBuffers) -> usize {
        buffers.0.free().bytes
    }

    #[test]
    fn every_length_has_the_smallest_class_that_holds_it() {
        assert_eq!(class_bytes(CLASSES - 1), LARGEST);
        for length in (1..=LARGEST).step_by(997).chain([SMALLEST, SMALLEST + 1, LARGEST]) {
            let class = class_of(length);
            assert!(class_bytes(class) >= length, "{length}");
            assert!(class == 0 || class_bytes(class - 1) < length, "{length}");
        }
        for class in 0..CLASSES {
            assert_eq!(class_of(class_bytes(class)), class);
        }
    }

    #[test]
    fn a_buffer_comes_back_when_its_last_slice_is_gone() {
        let buffers = FrameBuffers::new(LARGEST);
        let mut buffer = buffers.take(20_000);
        buffer.bytes_mut().extend_from_slice(b"records");
        let place = buffer.bytes_mut().as_ptr();
        let whole = buffer.freeze();
        let slice = whole.slice(2..4);
        drop(whole);
        assert_eq!((&slice[..], free_bytes(&buffers)), (&b"co"[..], 0));
        drop(slice);
        assert_eq!(free_bytes(&buffers), class_bytes(class_of(20_000)));
        let mut again = buffers.take(20_000);
        assert_eq!((again.bytes_mut().as_ptr(), again.bytes_mut().len()), (place, 0));
    }

    #[test]
    fn free_buffers_are_bounded() {
        let buffers = FrameBuffers::new(LARGEST);
        drop([(); 3].map(|()| buffers.take(LARGEST)));
        assert_eq!(free_bytes(&buffers), LARGEST);
    }

    #[test]
    fn what_nobody_needed_is_released_and_what_is_used_stays() {
        let buffers = FrameBuffers::new(4 * LARGEST);
        drop([(); 3].map(|()| buffers.take(LARGEST)));
        // They came since the last trim, so they may be needed again.
        assert_eq!(buffers.0.free().trim().len(), 0);
        drop(buffers.take(LARGEST));
        assert_eq!(buffers.0.free().trim().len(), 2, "one of three was used");
        assert_eq!(buffers.0.free().trim().len(), 1);
        assert_eq!(free_bytes(&buffers), 0);
    }
}
