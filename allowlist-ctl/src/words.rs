//! What is written the same way wherever it is text: in the API, in files, on the command line, in metrics.

/// Gives the variants of an enum their words, which are those that serde writes, too.
macro_rules! words {
    ($Enum:ty { $($Variant:ident: $word:literal),+ $(,)? }) => {
        impl $Enum {
            /// All of them.
            pub const ALL: [Self; [$($word),+].len()] = [$(Self::$Variant),+];

            /// The word for it.
            #[must_use]
            pub const fn word(self) -> &'static str {
                match self {
                    $(Self::$Variant => $word),+
                }
            }
        }
    };
}

/// Has serde write a type as its text, which `Display` makes and `FromStr` reads.
macro_rules! text_form {
    ($Type:ty, $Error:ty) => {
        impl TryFrom<String> for $Type {
            type Error = $Error;

            fn try_from(text: String) -> Result<Self, $Error> {
                text.parse()
            }
        }

        impl From<$Type> for String {
            fn from(value: $Type) -> Self {
                value.to_string()
            }
        }
    };
}

pub(crate) use {text_form, words};

#[cfg(test)]
mod tests {
    use serde::Serialize;

    use crate::{
        api::{CheckVerdict, DegradedPart, EngineKind, EventKind, InterfaceState, ServiceState},
        policy::{
            audit::AuditResult,
            service::{Action, Mode, WhenEmpty},
        },
    };

    fn are_sent<T: Copy + Serialize>(all: &[T], word: fn(T) -> &'static str) {
        for one in all {
            assert_eq!(serde_json::to_value(one).unwrap(), word(*one));
        }
    }

    #[test]
    fn the_words_are_those_that_are_sent() {
        are_sent(&Action::ALL, Action::word);
        are_sent(&AuditResult::ALL, AuditResult::word);
        are_sent(&CheckVerdict::ALL, CheckVerdict::word);
        are_sent(&DegradedPart::ALL, DegradedPart::word);
        are_sent(&EngineKind::ALL, EngineKind::word);
        are_sent(&EventKind::ALL, EventKind::word);
        are_sent(&InterfaceState::ALL, InterfaceState::word);
        are_sent(&Mode::ALL, Mode::word);
        are_sent(&ServiceState::ALL, ServiceState::word);
        are_sent(&WhenEmpty::ALL, WhenEmpty::word);
    }
}
