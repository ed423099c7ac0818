//! The walk against the crate's decoders: it agrees, it bounds, it never lets pass what does not decode.

use bytes::{Bytes, BytesMut};
use kafka_protocol::protocol::{Decodable, Encodable};

use super::*;
use crate::base::rng::Rng;
use crate::protocol::api::{APIS, Api};
use crate::protocol::fetch::FetchRequest;
use crate::protocol::produce::ProduceRequest;
use crate::protocol::sample::{self, Visitor};

/// Every served version of every API.
fn versions() -> impl Iterator<Item = (&'static Api, i16)> {
    APIS.iter().flat_map(|api| (api.min..=api.max).map(move |version| (api, version)))
}

/// Decodes with the code that serves the API; gives the bytes left over.
fn decode(api: &Api, version: i16, body: &Bytes) -> Result<usize, String> {
    struct Decode {
        version: i16,
        body: Bytes,
        result: Result<usize, String>,
    }
    impl Visitor for Decode {
        fn visit<T: Decodable + Encodable + Default>(&mut self) {
            let decoded = T::decode(&mut self.body, self.version);
            self.result = decoded.map(|_| self.body.len()).map_err(|error| error.to_string());
        }
    }
    match api.key {
        ApiKey::Produce => {
            ProduceRequest::read(body, version).map(|_| 0).map_err(|error| error.to_string())
        }
        ApiKey::Fetch => {
            FetchRequest::read(body, version).map(|_| 0).map_err(|error| error.to_string())
        }
        key => {
            let mut decode = Decode { version, body: body.clone(), result: Ok(0) };
            sample::visit(key, &mut decode);
            decode.result
        }
    }
}

#[test]
fn shapes_agree_with_the_crate() {
    struct Again {
        version: i16,
        body: Bytes,
        name: &'static str,
    }
    impl Visitor for Again {
        fn visit<T: Decodable + Encodable + Default>(&mut self) {
            let mut left = self.body.clone();
            let decoded = T::decode(&mut left, self.version)
                .unwrap_or_else(|error| panic!("{} {}: {error}", self.name, self.version));
            assert_eq!(left.len(), 0, "{} {}", self.name, self.version);
            let mut again = BytesMut::new();
            decoded.encode(&mut again, self.version).expect("what was decoded can be encoded");
            assert_eq!(again.freeze(), self.body, "{} {}", self.name, self.version);
        }
    }
    let rng = Rng::from_seed(1);
    for (api, version) in versions() {
        for _ in 0..100 {
            let body = Bytes::from(sample::request(api, version, &rng));
            let walked = walk(api.key, version, &body);
            assert_eq!(walked.map(|walked| walked.bytes), Ok(body.len()), "{} {version}", api.name);
            // The crate leaves tagged fields with default values out, so Fetch is compared by its own tests.
            if api.key != ApiKey::Fetch {
                sample::visit(api.key, &mut Again { version, body, name: api.name });
            }
        }
    }
}

#[test]
fn default_requests_are_walked_to_their_last_byte() {
    struct Default_ {
        version: i16,
        key: ApiKey,
    }
    impl Visitor for Default_ {
        fn visit<T: Decodable + Encodable + Default>(&mut self) {
            let mut body = BytesMut::new();
            T::default().encode(&mut body, self.version).expect("defaults fit every version");
            let walked = walk(self.key, self.version, &body).map(|walked| walked.bytes);
            assert_eq!(walked, Ok(body.len()), "{} {}", self.key.name(), self.version);
        }
    }
    for (api, version) in versions() {
        // Its only keyless default is null, which the crate writes in every version.
        sample::visit(api.key, &mut Default_ { version, key: api.key });
    }
}

#[test]
fn what_passes_is_decoded_and_what_is_truncated_does_not_pass() {
    let rng = Rng::from_seed(2);
    let (mut passed, mut refused) = (0, 0);
    for (api, version) in versions() {
        for _ in 0..200 {
            let mut body = sample::request(api, version, &rng);
            for _ in 0..=rng.below(3) {
                sample::damage(&mut body, &rng);
            }
            let body = Bytes::from(body);
            let Ok(walked) = walk(api.key, version, &body) else {
                refused += 1;
                continue;
            };
            passed += 1;
            let left = decode(api, version, &body);
            let left = left.unwrap_or_else(|error| panic!("{} {version}: {error}", api.name));
            if !matches!(api.key, ApiKey::Produce | ApiKey::Fetch) {
                assert_eq!(walked.bytes + left, body.len(), "{} {version}", api.name);
            }
        }
    }
    assert!(passed > 1000 && refused > 1000, "passed {passed}, refused {refused}");
    for (api, version) in versions() {
        let body = sample::request(api, version, &rng);
        for bytes in 0..body.len() {
            let walked = walk(api.key, version, &body[..bytes]);
            assert!(walked.is_err(), "{} {version} cut at {bytes} of {}", api.name, body.len());
        }
    }
}

#[test]
fn a_count_without_bytes_is_refused_before_any_allocation() {
    // Metadata 9: a compact count of 500 million in twelve bytes.
    let body = [0x81, 0xca, 0xb5, 0xee, 0x01, 0, 0, 0];
    assert_eq!(
        walk(ApiKey::Metadata, 9, &body),
        Err(Error::ImpossibleCount { count: 500_000_000, left: 3 })
    );
    // Metadata 1 and 12 with as many topics as their bytes could hold and one more.
    let mut body = vec![0, 0, 0, 3, 0, 0, 0, 0, 0, 0];
    assert_eq!(walk(ApiKey::Metadata, 1, &body).map(|walked| walked.bytes), Ok(10));
    body[3] = 4;
    let refused = walk(ApiKey::Metadata, 1, &body);
    assert_eq!(refused, Err(Error::ImpossibleCount { count: 4, left: 6 }));
}

#[test]
fn null_is_refused_where_kafka_has_none() {
    let null = [0xff, 0xff, 0xff, 0xff];
    assert_eq!(walk(ApiKey::Metadata, 0, &null), Err(Error::Invalid { what: "null", at: 4 }));
    assert_eq!(walk(ApiKey::Metadata, 1, &null).map(|walked| walked.bytes), Ok(4));
    // A topic without a name: allowed with its id only.
    let unnamed = [0, 0, 0, 1, 0xff, 0xff];
    assert_eq!(walk(ApiKey::Metadata, 1, &unnamed), Err(Error::Invalid { what: "null", at: 6 }));
}

#[test]
fn a_version_outside_the_range_is_refused() {
    for (key, version) in [(ApiKey::Produce, 2), (ApiKey::Produce, 14), (ApiKey::Metadata, -1)] {
        assert_eq!(
            walk(key, version, &[]),
            Err(Error::UnsupportedVersion { api: key.name(), version })
        );
    }
}
