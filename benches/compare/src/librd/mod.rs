//! librdkafka, called as `rdkafka_performance` calls it: batches in, batches out, no object per record.
//!
//! The only unsafe code of the harness. The `rdkafka` crate's own producer and consumer cost an allocation and a call per
//! record, which at millions of records a second measures the wrapper; so this calls the bindings that the crate has.
#![allow(unsafe_code)]

mod consumer;
mod producer;

use std::ffi::{CStr, CString, c_char, c_void};

use anyhow::{Context, bail};
use rdkafka::bindings as rd;

pub use consumer::Consumer;
pub use producer::{Delivery, Producer, Record};

/// librdkafka's version.
pub fn version() -> String {
    // SAFETY: returns a static string.
    unsafe { CStr::from_ptr(rd::rd_kafka_version_str()) }.to_string_lossy().into_owned()
}

/// Settings by librdkafka's own names.
pub type Settings = Vec<(String, String)>;

/// Shorthand for [`Settings`].
pub fn settings<const N: usize>(pairs: [(&str, &str); N]) -> Settings {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

struct Configuration(*mut rd::rd_kafka_conf_t);

impl Configuration {
    fn new(settings: &Settings) -> anyhow::Result<Self> {
        // SAFETY: no arguments; the result is owned until `create` hands it over.
        let configuration = Self(unsafe { rd::rd_kafka_conf_new() });
        for (name, value) in settings {
            let (name, value) = (CString::new(name.as_str())?, CString::new(value.as_str())?);
            let mut fault = [0 as c_char; 512];
            // SAFETY: all pointers live through the call, and the buffer's length is given.
            let result = unsafe {
                rd::rd_kafka_conf_set(
                    configuration.0,
                    name.as_ptr(),
                    value.as_ptr(),
                    fault.as_mut_ptr(),
                    fault.len(),
                )
            };
            if result != rd::rd_kafka_conf_res_t::RD_KAFKA_CONF_OK {
                bail!("librdkafka refuses a setting: {}", text(&fault));
            }
        }
        Ok(configuration)
    }

    /// Makes the instance, which owns the configuration from then on.
    fn create(self, kind: rd::rd_kafka_type_t) -> anyhow::Result<*mut rd::rd_kafka_t> {
        let mut fault = [0 as c_char; 512];
        // SAFETY: the configuration is valid and not used again.
        let instance = unsafe { rd::rd_kafka_new(kind, self.0, fault.as_mut_ptr(), fault.len()) };
        if instance.is_null() {
            bail!("librdkafka did not start: {}", text(&fault));
        }
        Ok(instance)
    }

    fn opaque<T>(&self, value: &T) {
        let pointer: *const T = value;
        // SAFETY: the caller keeps `value` alive as long as the instance.
        unsafe { rd::rd_kafka_conf_set_opaque(self.0, pointer.cast_mut().cast::<c_void>()) };
    }
}

fn text(buffer: &[c_char]) -> String {
    // SAFETY: librdkafka terminates what it writes, and the buffer began as zeroes.
    unsafe { CStr::from_ptr(buffer.as_ptr()) }.to_string_lossy().into_owned()
}

fn describe(error: rd::rd_kafka_resp_err_t) -> String {
    // SAFETY: returns a static string for any code.
    unsafe { CStr::from_ptr(rd::rd_kafka_err2str(error)) }.to_string_lossy().into_owned()
}

/// An error object of librdkafka's, freed here; null is none.
fn check(error: *mut rd::rd_kafka_error_t) -> anyhow::Result<()> {
    if error.is_null() {
        return Ok(());
    }
    // SAFETY: the error is valid until destroyed, and its text is copied before that.
    let text = unsafe {
        let text = CStr::from_ptr(rd::rd_kafka_error_string(error)).to_string_lossy().into_owned();
        rd::rd_kafka_error_destroy(error);
        text
    };
    bail!("librdkafka: {text}")
}

fn open_topic(
    instance: *mut rd::rd_kafka_t,
    name: &str,
) -> anyhow::Result<*mut rd::rd_kafka_topic_t> {
    let name = CString::new(name)?;
    // SAFETY: a null configuration means the instance's defaults.
    let topic = unsafe { rd::rd_kafka_topic_new(instance, name.as_ptr(), std::ptr::null_mut()) };
    (!topic.is_null()).then_some(topic).context("librdkafka did not open the topic")
}
