"""What the command line builds: frozen dataclasses of keywords."""

import dataclasses
from typing import Any, dataclass_transform


@dataclass_transform(frozen_default=True, kw_only_default=True)
class Options:
    """Base of classes whose attributes are options: each of them becomes a dataclass when it is defined."""

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        dataclasses.dataclass(frozen=True, kw_only=True)(cls)
