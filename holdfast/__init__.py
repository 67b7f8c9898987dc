"""Holdfast puts live phone calls on hold and brings them back."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from holdfast.holds import Account as Account
    from holdfast.holds import Holds as Holds

__version__ = "0.1.0"
__all__ = ["Account", "Holds", "__version__"]


def __getattr__(name: str) -> object:
    # The media process imports this package too, and must not pay for the SDK.
    if name in ("Account", "Holds"):
        from holdfast import holds

        return getattr(holds, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
