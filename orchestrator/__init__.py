"""End sessions in bulk: a YAML plan goes in, one outcome per target comes out."""

__version__ = "0.1.0"
