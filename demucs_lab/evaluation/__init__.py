"""How good the shipped models are, the ceiling above them, and whether their parts do anything."""

from demucs_lab.evaluation.vital_signs import VitalSigns, vital_signs

__all__ = ["VitalSigns", "vital_signs"]
