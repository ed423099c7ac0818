//! Layers of settings: defaults < file < environment < flags. Reads the file and the environment; nothing else does.
//!
//! Does not stop at the first fault: each is kept with where it came from.

use std::collections::BTreeMap;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};

use toml::de::{DeTable, DeValue};

use super::faults::{Fault, Faults};
use super::key::{Key, Value};
use super::suggest;
use super::{ENV_PREFIX, keys};

/// Where a value was said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// Nowhere: it is the default.
    Default,
    /// In a file.
    File {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
    },
    /// In an environment variable of this name.
    Env(String),
    /// On the command line, by this flag.
    Flag(String),
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => write!(f, "default"),
            Self::File { path, line } => write!(f, "{}:{line}", path.display()),
            Self::Env(name) => write!(f, "environment {name}"),
            Self::Flag(flag) => write!(f, "{flag}"),
        }
    }
}

/// One thing that somebody said: a name, as given, and its text.
#[derive(Debug, Clone)]
pub struct Setting {
    /// The name as given: ours or Kafka's.
    pub name: String,
    /// The value's text.
    pub text: String,
    /// Where it was said.
    pub source: Source,
}

/// Everything that was said, by layer.
#[derive(Debug, Clone, Default)]
pub struct Inputs {
    /// The text of a TOML file and its path, for messages.
    pub file: Option<(PathBuf, String)>,
    /// Environment variables; those without our prefix are skipped.
    pub env: Vec<(String, String)>,
    /// Flags, the later ones stronger.
    pub flags: Vec<Setting>,
}

impl Inputs {
    /// Gathers what this process was started with. `file` is the file to read; `THALWEG_CONFIG` names one otherwise.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn of_process(file: Option<&Path>, flags: Vec<Setting>) -> Result<Self, Faults> {
        let named = std::env::var_os(CONFIG_ENV).map(PathBuf::from);
        let path = file.map(Path::to_path_buf).or(named);
        let file = path.map(|path| read(&path).map(|text| (path, text))).transpose()?;
        // A value that is not text belongs to somebody else.
        let env = std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
            .collect();
        Ok(Self { file, env, flags })
    }
}

/// Names the file when no flag does.
const CONFIG_ENV: &str = "THALWEG_CONFIG";

fn read(path: &Path) -> Result<String, Faults> {
    std::fs::read_to_string(path).map_err(|error| {
        Faults(vec![Fault {
            name: "--config".to_owned(),
            text: path.display().to_string(),
            source: Source::Flag("the configuration file".to_owned()),
            what: format!("cannot be read: {error}"),
        }])
    })
}

/// Every key's value and source, still untyped. Asking for a key that no table has is a programming error.
#[derive(Debug)]
pub(super) struct Values {
    values: BTreeMap<&'static str, (Value, Source)>,
}

impl Values {
    /// Lays the layers over the defaults. Faults go to `faults`; their keys keep the weaker layer's value.
    pub(super) fn resolve(inputs: &Inputs, faults: &mut Faults) -> Self {
        let names = names();
        let mut values: BTreeMap<_, _> = keys()
            .map(|key| {
                let value = key.kind.parse(key.default, 1).expect("a test parses every default");
                (key.name, (value, Source::Default))
            })
            .collect();
        if let Some((path, text)) = &inputs.file {
            let layer = from_file(path, text, faults);
            apply(&layer, &names, &mut values, faults);
        }
        let layer = from_env(&inputs.env, &names, faults);
        apply(&layer, &names, &mut values, faults);
        apply(&inputs.flags, &names, &mut values, faults);
        Self { values }
    }

    /// The value of `name` and where it was said.
    pub(super) fn get(&self, name: &str) -> &(Value, Source) {
        self.values.get(name).unwrap_or_else(|| panic!("no table has the key {name}"))
    }
}

type Names = BTreeMap<&'static str, (&'static Key, i64)>;

/// Every name that works, ours and Kafka's, with its key and its unit in ours.
fn names() -> Names {
    let mut names = Names::new();
    for key in keys() {
        names.insert(key.name, (key, 1));
        names.extend(key.also.iter().map(|(name, scale)| (*name, (key, *scale))));
    }
    names
}

/// Lays one layer over `values`. Within a layer that is not the flags' the same key must not be said twice differently.
fn apply(
    layer: &[Setting],
    names: &Names,
    values: &mut BTreeMap<&'static str, (Value, Source)>,
    faults: &mut Faults,
) {
    let mut said: BTreeMap<&str, &Setting> = BTreeMap::new();
    for setting in layer {
        let Some((key, scale)) = names.get(setting.name.as_str()) else {
            let hint = suggest::hint(&setting.name, names.keys().copied());
            let hint = hint.map(|hint| format!("; {hint}")).unwrap_or_default();
            faults.add(setting, format!("is not a setting{hint}"));
            continue;
        };
        let value = match key.kind.parse(&setting.text, *scale) {
            Ok(value) => value,
            Err(why) => {
                faults.add(setting, why);
                continue;
            }
        };
        let other = said.insert(key.name, setting);
        let flag = matches!(setting.source, Source::Flag(_));
        if let Some(other) = other
            && !flag
            && values[key.name].0 != value
        {
            faults.add(setting, format!("contradicts {} ({})", other.name, other.source));
            continue;
        }
        values.insert(key.name, (value, setting.source.clone()));
    }
}

/// The settings of a TOML file: tables and dotted keys make dotted names.
fn from_file(path: &Path, text: &str, faults: &mut Faults) -> Vec<Setting> {
    let line = |at: usize| text[..at.min(text.len())].matches('\n').count() + 1;
    let (table, errors) = DeTable::parse_recoverable(text);
    for error in errors {
        let at = line(error.span().map_or(0, |span| span.start));
        let source = Source::File { path: path.to_path_buf(), line: at };
        let said = text.lines().nth(at - 1).unwrap_or_default().trim().to_owned();
        let what = format!("is not TOML: {}", error.message());
        faults.0.push(Fault { name: said, text: String::new(), source, what });
    }
    let mut settings = Vec::new();
    let mut open = vec![(String::new(), table.get_ref())];
    while let Some((prefix, table)) = open.pop() {
        for (key, value) in table.iter() {
            let name = format!("{prefix}{}", key.get_ref());
            if let DeValue::Table(inner) = value.get_ref() {
                open.push((format!("{name}."), inner));
                continue;
            }
            let source = Source::File { path: path.to_path_buf(), line: line(key.span().start) };
            settings.push(Setting { name, text: plain(value.get_ref()), source });
        }
    }
    settings.sort_by_key(|setting| match &setting.source {
        Source::File { line, .. } => *line,
        _ => 0,
    });
    settings
}

/// A TOML value as the text that stands for it elsewhere; a list has commas between.
fn plain(value: &DeValue<'_>) -> String {
    match value {
        DeValue::String(text) => text.to_string(),
        DeValue::Integer(number) => match i64::from_str_radix(number.as_str(), number.radix()) {
            Ok(number) => number.to_string(),
            Err(_) => number.as_str().to_owned(),
        },
        DeValue::Float(number) => number.as_str().to_owned(),
        DeValue::Boolean(flag) => flag.to_string(),
        DeValue::Datetime(time) => time.to_string(),
        DeValue::Array(all) => {
            all.iter().map(|one| plain(one.get_ref())).collect::<Vec<_>>().join(",")
        }
        DeValue::Table(_) => String::new(),
    }
}

/// `THALWEG_NUM_PARTITIONS` says `num.partitions`: capitals, everything else an underscore.
fn from_env(env: &[(String, String)], names: &Names, faults: &mut Faults) -> Vec<Setting> {
    let by_env: BTreeMap<String, &str> = names.keys().map(|name| (env_name(name), *name)).collect();
    let mut settings = Vec::new();
    let ours = env.iter().filter(|(name, value)| {
        name.starts_with(ENV_PREFIX) && !is_of_tests(name) && !is_service_link(env, name, value)
    });
    for (env, text) in ours {
        let name = by_env.get(env).map_or_else(|| env.clone(), |name| (*name).to_owned());
        let setting = Setting { name, text: text.clone(), source: Source::Env(env.clone()) };
        if by_env.contains_key(env) {
            settings.push(setting);
            continue;
        }
        let dotted = env[ENV_PREFIX.len()..].to_ascii_lowercase().replace('_', ".");
        let hint = suggest::hint(&dotted, names.keys().copied());
        let hint = hint.map(|hint| format!("; {hint}")).unwrap_or_default();
        faults.add(&setting, format!("is not a setting{hint}"));
    }
    settings.sort_by(|a, b| a.name.cmp(&b.name));
    settings
}

/// The environment variable that says `name`.
#[must_use]
pub fn env_name(name: &str) -> String {
    let shout = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' };
    ENV_PREFIX.chars().chain(name.chars().map(shout)).collect()
}

/// The file's own variable, and what this repository's tests are told, which start the program: no setting is called so.
fn is_of_tests(name: &str) -> bool {
    name == CONFIG_ENV || name[ENV_PREFIX.len()..].starts_with("TEST_")
}

/// Kubernetes gives each pod variables such as `THALWEG_PORT_9092_TCP_ADDR` for a Service called `thalweg`, and such as
/// `THALWEG_HTTP_PORT` for one called `thalweg-http`. Each has the value of its kind, and all of a Service come together:
/// what only looks like one is a setting that nobody knows.
fn is_service_link(env: &[(String, String)], name: &str, value: &str) -> bool {
    let hosts = |service: &str| {
        env.iter().any(|(name, value)| {
            name.strip_prefix(service) == Some("_SERVICE_HOST") && is_address(value)
        })
    };
    service_of(name, value).is_some_and(hosts)
}

/// The Service of which a variable of this name and value would be, as its variables begin.
fn service_of<'a>(name: &'a str, value: &str) -> Option<&'a str> {
    let is_port = || value.parse::<u16>().is_ok();
    if let Some(service) = name.strip_suffix("_SERVICE_HOST") {
        return Some(service).filter(|_| is_address(value));
    }
    if let Some((service, port_name)) = name.split_once("_SERVICE_PORT") {
        let ends = port_name.is_empty() || port_name.starts_with('_');
        return Some(service).filter(|_| ends && is_port());
    }
    if let Some(service) = name.strip_suffix("_PORT").filter(|_| is_link(value)) {
        return Some(service);
    }
    let (service, port) = name.rsplit_once("_PORT_")?;
    let parts: Vec<&str> = port.split('_').collect();
    let [number, protocol, what @ ..] = &parts[..] else { return None };
    let fits = match what {
        [] => is_link(value),
        ["PROTO"] => value.eq_ignore_ascii_case(protocol),
        ["PORT"] => value == *number,
        ["ADDR"] => is_address(value),
        _ => false,
    };
    let fits = fits && is_protocol(protocol) && number.parse::<u16>().is_ok();
    Some(service).filter(|_| fits)
}

fn is_address(value: &str) -> bool {
    value.parse::<IpAddr>().is_ok()
}

fn is_protocol(name: &str) -> bool {
    ["tcp", "udp", "sctp"].iter().any(|known| name.eq_ignore_ascii_case(known))
}

/// `tcp://10.0.0.1:9092`.
fn is_link(value: &str) -> bool {
    value
        .split_once("://")
        .is_some_and(|(protocol, at)| is_protocol(protocol) && at.parse::<SocketAddr>().is_ok())
}
