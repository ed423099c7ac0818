//! The metadata that groups of the consumer protocol are decided against.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use crate::base::watch;
use crate::cluster::image::Image;

/// The image as last heard, and which was the last that brought topics. Clones share it.
#[derive(Debug, Clone)]
pub(super) struct Topics {
    images: watch::Receiver<Arc<Image>>,
    version: Arc<AtomicI64>,
}

impl Topics {
    pub(super) fn new(images: watch::Receiver<Arc<Image>>) -> Self {
        let version = version_of(&images.borrow());
        Self { images, version: Arc::new(AtomicI64::new(version)) }
    }

    /// The image, and the version of the last that brought topics which the one before did not have.
    pub(super) fn now(&self) -> (Arc<Image>, i64) {
        let image = Arc::clone(&self.images.borrow());
        (image, self.version.load(Ordering::Acquire))
    }

    /// Notes whether `image` brings topics that the one `before` did not have.
    pub(super) fn note(&self, before: &Image, image: &Image) {
        let known = |(name, id): (&String, &_)| before.names.get(name) == Some(id);
        if !image.names.iter().all(known) {
            self.version.store(version_of(image), Ordering::Release);
        }
    }
}

fn version_of(image: &Image) -> i64 {
    i64::try_from(image.version).unwrap_or(i64::MAX)
}
