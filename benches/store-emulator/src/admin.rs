//! `/_emulator/`: the ledger, and the levers of latency and faults.
//!
//! `GET stats`; `GET puts` (key and drawn latency of each PutObject since the last reset); `POST reset`, `POST clear`, `POST outage?seconds=30&mode=refuse|hang`, `POST outage/end`,
//! `POST profile?name=s3-standard`, `POST faults?errors=0.05&stalls=0.01&stall_ms=2000&conflicts=0&lost_replies=0`.

use std::{collections::BTreeMap, time::Duration};

use hyper::{Method, Response, StatusCode, Uri};
use s3s::Body;

use crate::{faults::OutageMode, s3::Emulator};

/// Paths below it are never S3's: a bucket's name cannot begin with an underscore.
pub const PREFIX: &str = "/_emulator/";

/// Answers one admin request.
pub fn answer(emulator: &Emulator, method: &Method, uri: &Uri) -> Response<Body> {
    let outcome = match (method.as_str(), &uri.path()[PREFIX.len()..]) {
        ("GET", "stats") => Ok(statistics(emulator)),
        ("GET", "puts") => Ok(puts(emulator)),
        ("POST", action) => act(emulator, action, &Query::new(uri)).map(|()| "{}\n".to_owned()),
        _ => Err("no such page".to_owned()),
    };
    let (status, body) = match outcome {
        Ok(body) => (StatusCode::OK, body),
        Err(fault) => (StatusCode::BAD_REQUEST, format!("{fault}\n")),
    };
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    response
}

fn statistics(emulator: &Emulator) -> String {
    let (objects, bytes) = emulator.objects.totals();
    let statement = emulator.ledger.statement(emulator.faults.profile(), objects, bytes);
    serde_json::to_string_pretty(&statement).expect("numbers and names are JSON") + "\n"
}

fn puts(emulator: &Emulator) -> String {
    serde_json::to_string(&emulator.ledger.puts()).expect("numbers and names are JSON") + "\n"
}

fn act(emulator: &Emulator, action: &str, query: &Query) -> Result<(), String> {
    match action {
        "reset" => emulator.ledger.reset(),
        "clear" => emulator.objects.clear(),
        "outage" => {
            let length = query.number("seconds")?.ok_or("seconds is missing")?;
            let mode = match query.text("mode") {
                None | Some("refuse") => OutageMode::Refuse,
                Some("hang") => OutageMode::Hang,
                Some(other) => return Err(format!("no such mode: {other}")),
            };
            emulator.faults.begin_outage(Duration::from_secs_f64(length), mode);
        }
        "outage/end" => emulator.faults.end_outage(),
        "profile" => {
            emulator.faults.set_profile(query.text("name").ok_or("name is missing")?.parse()?)
        }
        "faults" => set_faults(emulator, query)?,
        _ => return Err(format!("no such action: {action}")),
    }
    Ok(())
}

fn set_faults(emulator: &Emulator, query: &Query) -> Result<(), String> {
    let errors = query.number("errors")?;
    let stalls = query.number("stalls")?;
    let stall = query.number("stall_ms")?;
    let conflicts = query.number("conflicts")?;
    let lost_replies = query.number("lost_replies")?;
    emulator.faults.set_rates(|rates| {
        rates.errors = errors.unwrap_or(rates.errors);
        rates.stalls = stalls.unwrap_or(rates.stalls);
        rates.stall = stall.map_or(rates.stall, |ms| Duration::from_secs_f64(ms / 1_000.0));
        rates.conflicts = conflicts.unwrap_or(rates.conflicts);
        rates.lost_replies = lost_replies.unwrap_or(rates.lost_replies);
    });
    Ok(())
}

/// The query string's `name=value` pairs; values need no escapes.
struct Query<'a>(BTreeMap<&'a str, &'a str>);

impl<'a> Query<'a> {
    fn new(uri: &'a Uri) -> Self {
        let pairs = uri.query().unwrap_or("").split('&').filter_map(|pair| pair.split_once('='));
        Self(pairs.collect())
    }

    fn text(&self, name: &str) -> Option<&'a str> {
        self.0.get(name).copied()
    }

    /// A non-negative, finite number.
    fn number(&self, name: &str) -> Result<Option<f64>, String> {
        let Some(text) = self.text(name) else { return Ok(None) };
        match text.parse::<f64>() {
            Ok(number) if number.is_finite() && number >= 0.0 => Ok(Some(number)),
            _ => Err(format!("{name} is not a number: {text}")),
        }
    }
}
