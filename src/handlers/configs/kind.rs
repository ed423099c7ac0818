//! Types of config values, as Kafka reports and checks them.
//!
//! Source: `ConfigDef` in Apache Kafka: its messages reach clients word for word.

use crate::cluster::offset_reset::AutoOffsetReset;

/// A config's type; the number is the one in DescribeConfigs (KIP-569).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(i8)]
pub(super) enum Type {
    Unknown = 0,
    Boolean = 1,
    Text = 2,
    Int = 3,
    Short = 4,
    Long = 5,
    Double = 6,
    List = 7,
}

/// What a value of the right type must be besides.
#[derive(Debug, Clone, Copy)]
pub(super) enum Rule {
    Any,
    AtLeast(i64),
    Between(i64, i64),
    /// 0 to 1.
    Ratio,
    OneOf(&'static [&'static str]),
    /// A list of some of these.
    SomeOf(&'static [&'static str]),
    /// -1 or 1 to 9.
    GzipLevel,
    /// `*` or `partition:broker` pairs.
    Replicas,
    /// Where a share group begins.
    AutoOffsetReset,
    /// Nothing but this, for the reason given.
    Only(&'static str, &'static str),
}

/// One config key.
#[derive(Debug, Clone, Copy)]
pub(super) struct Key {
    pub(super) name: &'static str,
    pub(super) kind: Type,
    pub(super) rule: Rule,
    /// Where no setting of the broker is the default.
    pub(super) default: &'static str,
    pub(super) doc: &'static str,
}

impl Key {
    /// What is wrong with `value`, in Kafka's words.
    pub(super) fn check(&self, value: &str) -> Result<(), String> {
        let wrong = |what: String| invalid(self.name, value, &what);
        let text = value.trim();
        match self.kind {
            Type::Unknown | Type::Text | Type::List => self.check_text(text),
            Type::Boolean if matches!(text.to_ascii_lowercase().as_str(), "true" | "false") => {
                match self.rule {
                    Rule::Only(only, why) if !text.eq_ignore_ascii_case(only) => {
                        Err(why.to_owned())
                    }
                    _ => Ok(()),
                }
            }
            Type::Boolean => Err(wrong("Expected value to be either true or false".to_owned())),
            Type::Int => self.check_number(value, i32::MIN.into(), i32::MAX.into(), "INT"),
            Type::Short => self.check_number(value, i16::MIN.into(), i16::MAX.into(), "SHORT"),
            Type::Long => self.check_number(value, i64::MIN, i64::MAX, "LONG"),
            Type::Double => match text.parse::<f64>() {
                Err(_) => Err(wrong("Not a number of type DOUBLE".to_owned())),
                Ok(number) if matches!(self.rule, Rule::Ratio) && number < 0.0 => {
                    Err(wrong("Value must be at least 0".to_owned()))
                }
                Ok(number) if matches!(self.rule, Rule::Ratio) && number > 1.0 => {
                    Err(wrong("Value must be no more than 1".to_owned()))
                }
                Ok(_) => Ok(()),
            },
        }
    }

    fn check_number(&self, value: &str, min: i64, max: i64, name: &str) -> Result<(), String> {
        let wrong = |what: String| Err(invalid(self.name, value.trim(), &what));
        let number = value.trim().parse::<i64>().ok().filter(|n| (min..=max).contains(n));
        let Some(number) = number else {
            return Err(invalid(self.name, value, &format!("Not a number of type {name}")));
        };
        match self.rule {
            Rule::AtLeast(least) | Rule::Between(least, _) if number < least => {
                wrong(format!("Value must be at least {least}"))
            }
            Rule::Between(_, most) if number > most => {
                wrong(format!("Value must be no more than {most}"))
            }
            Rule::GzipLevel if number != -1 && !(1..=9).contains(&number) => {
                wrong("Value must be between 1 and 9 or equal to -1".to_owned())
            }
            _ => Ok(()),
        }
    }

    fn check_text(&self, text: &str) -> Result<(), String> {
        let one_of = |words: &[&str], text: &str| {
            if words.contains(&text) {
                return Ok(());
            }
            let what = format!("String must be one of: {}", words.join(", "));
            Err(invalid(self.name, text, &what))
        };
        match self.rule {
            Rule::OneOf(words) => one_of(words, text),
            Rule::SomeOf(words) => items(text).try_for_each(|item| one_of(words, item)),
            Rule::Replicas if !is_replicas(text) => Err(invalid(
                self.name,
                &format!("[{}]", items(text).collect::<Vec<_>>().join(", ")),
                &format!(
                    "{} must be the literal '*' or a list of replicas in the following format: \
                     [partitionId]:[brokerId],[partitionId]:[brokerId],...",
                    self.name
                ),
            )),
            Rule::AutoOffsetReset if AutoOffsetReset::parse(text).is_none() => {
                // Kafka says the first part twice.
                let name = self.name;
                let what = format!(
                    "Invalid value `{text}` for configuration {name}. The value must be either 'earliest', 'latest' or of \
                     the format 'by_duration:<PnDTnHnMn.nS>'."
                );
                Err(invalid(name, text, &what))
            }
            Rule::Only(only, why) if text != only => Err(why.to_owned()),
            _ => Ok(()),
        }
    }
}

/// The elements of a list as Kafka splits it.
pub(super) fn items(list: &str) -> impl Iterator<Item = &str> {
    list.split(',').map(str::trim).filter(|item| !item.is_empty())
}

fn invalid(name: &str, value: &str, what: &str) -> String {
    format!("Invalid value {value} for configuration {name}: {what}")
}

fn is_replicas(text: &str) -> bool {
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    let pair = |item: &str| item.split_once(':').is_some_and(|(p, b)| digits(p) && digits(b));
    text == "*" || items(text).all(pair)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(kind: Type, rule: Rule, value: &str, expected: Result<(), &str>) {
        let key = Key { name: "k", kind, rule, default: "", doc: "" };
        assert_eq!(key.check(value), expected.map_err(str::to_owned), "{kind:?} {value}");
    }

    #[test]
    fn values_are_refused_in_kafkas_words() {
        let not = |what: &'static str| Err(what);
        check(Type::Long, Rule::AtLeast(-1), " 5 ", Ok(()));
        check(
            Type::Long,
            Rule::AtLeast(-1),
            "abc",
            not("Invalid value abc for configuration k: Not a number of type LONG"),
        );
        check(
            Type::Long,
            Rule::AtLeast(-1),
            "-5",
            not("Invalid value -5 for configuration k: Value must be at least -1"),
        );
        check(
            Type::Int,
            Rule::Any,
            "3000000000",
            not("Invalid value 3000000000 for configuration k: Not a number of type INT"),
        );
        check(
            Type::Int,
            Rule::GzipLevel,
            "0",
            not(
                "Invalid value 0 for configuration k: Value must be between 1 and 9 or equal to -1",
            ),
        );
        check(Type::List, Rule::SomeOf(&["compact", "delete"]), "delete,delete", Ok(()));
        check(Type::List, Rule::SomeOf(&["compact", "delete"]), "", Ok(()));
        check(
            Type::List,
            Rule::SomeOf(&["compact", "delete"]),
            "compact,foo",
            not("Invalid value foo for configuration k: String must be one of: compact, delete"),
        );
        check(
            Type::Boolean,
            Rule::Any,
            "yes",
            not("Invalid value yes for configuration k: Expected value to be either true or false"),
        );
        check(
            Type::Double,
            Rule::Ratio,
            "1.5",
            not("Invalid value 1.5 for configuration k: Value must be no more than 1"),
        );
        check(Type::Text, Rule::AutoOffsetReset, "by_duration:P1D", Ok(()));
        check(
            Type::Text,
            Rule::AutoOffsetReset,
            "none",
            not(
                "Invalid value none for configuration k: Invalid value `none` for configuration k. The value must be either \
                 'earliest', 'latest' or of the format 'by_duration:<PnDTnHnMn.nS>'.",
            ),
        );
        check(Type::List, Rule::Replicas, "0:1,2:3", Ok(()));
        check(Type::List, Rule::Replicas, "*", Ok(()));
    }
}
