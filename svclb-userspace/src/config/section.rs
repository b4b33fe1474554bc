//! What makes an option one thing: its flag, its field in the file, its default and its help.

/// Declares the options of one section of the configuration: the section with every value decided,
/// and the layer, which holds what one source (the file, the command line) says about it.
///
/// An option `some_thing` is the flag `--some-thing` and the field `someThing`. Those after
/// `unset:` have no default.
macro_rules! section {
    (
        $(#[doc = $about:literal])+
        $section:ident, $layer:ident, $heading:literal {
            $( $(#[doc = $doc:literal])+ [$($arg:tt)*] $field:ident: $type:ty = $default:expr; )*
            $( unset: $(
                $(#[doc = $unset_doc:literal])+
                [$($unset_arg:tt)*]
                $unset:ident: $unset_type:ty;
            )+ )?
        }
    ) => {
        $(#[doc = $about])+
        #[derive(Clone, PartialEq, Eq, Debug)]
        pub struct $section {
            $( $(#[doc = $doc])+ pub $field: $type, )*
            $($( $(#[doc = $unset_doc])+ pub $unset: Option<$unset_type>, )+)?
        }

        /// What one source of the configuration says about this section.
        #[derive(Clone, Default, Debug, clap::Args, serde::Deserialize)]
        #[command(next_help_heading = $heading)]
        #[serde(rename_all = "camelCase", deny_unknown_fields, default)]
        pub(in crate::config) struct $layer {
            $( $(#[doc = $doc])+ #[arg(long, $($arg)*)] $field: Option<$type>, )*
            $($( $(#[doc = $unset_doc])+ #[arg(long, $($unset_arg)*)] $unset: Option<$unset_type>, )+)?
        }

        impl Default for $section {
            fn default() -> Self {
                Self { $( $field: $default, )* $($( $unset: None, )+)? }
            }
        }

        impl $crate::config::Section for $section {
            type Layer = $layer;

            fn take(&mut self, layer: $layer, mut taken: impl FnMut(&'static str)) {
                $(
                    if let Some(value) = layer.$field {
                        self.$field = value;
                        taken(stringify!($field));
                    }
                )*
                $($(
                    if let Some(value) = layer.$unset {
                        self.$unset = Some(value);
                        taken(stringify!($unset));
                    }
                )+)?
            }

            fn options(&self) -> serde_json::Result<Vec<(&'static str, serde_json::Value)>> {
                Ok(vec![
                    $( (stringify!($field), serde_json::to_value(&self.$field)?), )*
                    $($( (stringify!($unset), serde_json::to_value(&self.$unset)?), )+)?
                ])
            }
        }
    };
}

/// Declares the configuration: its sections, in order.
macro_rules! configuration {
    ($( $(#[doc = $doc:literal])+ $name:ident: $section:ident; )+) => {
        /// Every option, decided.
        #[derive(Clone, PartialEq, Eq, Default, Debug)]
        pub struct Config {
            $( $(#[doc = $doc])+ pub $name: $section, )+
        }

        /// What one source of the configuration says.
        #[derive(Clone, Default, Debug, clap::Args, serde::Deserialize)]
        #[serde(rename_all = "camelCase", deny_unknown_fields, default)]
        pub struct Layer {
            $( #[command(flatten)] $name: <$section as Section>::Layer, )+
        }

        impl Config {
            /// Lets a layer win over what is decided so far. `taken` hears of each option that the
            /// layer decides.
            fn take(&mut self, layer: Layer, mut taken: impl FnMut(&'static str)) {
                $( self.$name.take(layer.$name, &mut taken); )+
            }

            /// The sections by name, each with its options by name: null where there is no value.
            fn sections(&self) -> serde_json::Result<Vec<(&'static str, Vec<(&'static str, serde_json::Value)>)>> {
                Ok(vec![ $( (stringify!($name), self.$name.options()?), )+ ])
            }
        }
    };
}

pub(super) use {configuration, section};
