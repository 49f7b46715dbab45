//! The futures of calls: boxed ones, each with a name of its own.

/// Defines a future with this name and output.
macro_rules! boxed_future {
    ($(#[$attribute:meta])* $name:ident -> $output:ty) => {
        $(#[$attribute])*
        #[must_use = "futures do nothing unless awaited"]
        pub struct $name($crate::backend::BoxFuture<'static, $output>);

        impl ::std::future::Future for $name {
            type Output = $output;

            fn poll(
                mut self: ::std::pin::Pin<&mut Self>,
                cx: &mut ::std::task::Context<'_>,
            ) -> ::std::task::Poll<$output> {
                self.0.as_mut().poll(cx)
            }
        }

        impl ::std::fmt::Debug for $name {
            fn fmt(&self, f: &mut ::std::fmt::Formatter<'_>) -> ::std::fmt::Result {
                f.write_str(stringify!($name))
            }
        }
    };
}
pub(crate) use boxed_future;
