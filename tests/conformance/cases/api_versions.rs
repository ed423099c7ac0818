//! ApiVersions: the ranges, the features, and versions that no broker has.

use kafka_protocol::messages::ApiVersionsRequest;

use super::{text, versions};
use crate::talk::Talk;

pub fn script(talk: &mut Talk) {
    for version in versions::<ApiVersionsRequest>() {
        talk.begin("ranges");
        let mut request = ApiVersionsRequest::default();
        if version >= 3 {
            request = named("conformance", "1.0");
        }
        talk.ask("all", version, &request);
        talk.ask("asked again on the same connection", version, &request);
    }
    names(talk);
    too_new(talk);
}

fn named(name: &str, version: &str) -> ApiVersionsRequest {
    ApiVersionsRequest::default()
        .with_client_software_name(text(name))
        .with_client_software_version(text(version))
}

/// Client names that KIP-511 forbids.
fn names(talk: &mut Talk) {
    for (step, name, version) in [
        ("an empty name", "", "1.0"),
        ("an empty version", "name", ""),
        ("a name with a space", "my client", "1.0"),
        ("a name that ends in a dot", "client.", "1.0"),
        ("a version with a slash", "client", "1/0"),
    ] {
        talk.begin("names");
        talk.ask(step, 3, &named(name, version));
        talk.ask(&format!("{step}, then a good one"), 3, &named("client", "1.0"));
    }
}

/// A version above every known one is answered in version 0, with the ranges.
fn too_new(talk: &mut Talk) {
    for version in [5, 6, 127, i16::MAX, -1] {
        talk.begin("too new");
        let body = [&[2u8, b'a', 2, b'1', 0][..]].concat();
        let frame = talk.frame_of(18, version, 2, &body);
        answered_in_version_0(talk, version, &frame);
    }
    talk.begin("too new");
    let frame = talk.frame_of(18, 99, 2, &[]);
    answered_in_version_0(talk, 99, &frame);
    talk.ask("then a known version", 0, &ApiVersionsRequest::default());
}

fn answered_in_version_0(talk: &mut Talk, version: i16, frame: &[u8]) {
    // Recorded under the asked version, read as version 0.
    talk.ask_frame_as::<ApiVersionsRequest>("asked at this version", (version, 0), frame);
}
