"""Genomes in, tracks out: overlapping windows along sequences are scored, and blended to values of bases."""

from genomix.tracks.settings import TrackSettings, choose_settings
from genomix.tracks.track import write_tracks
from genomix.tracks.work import TrackSummary

__all__ = ["TrackSettings", "TrackSummary", "choose_settings", "write_tracks"]
