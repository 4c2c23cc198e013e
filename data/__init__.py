"""What is restored: images, and the tasks that degrade them (NumPy only; no torch)."""

from .degraded import load_observation
from .downloads import download
from .imagefiles import save_image
from .images import Image, load_image, load_images
from .inpainting import HoleInpainting, Inpainting, MaskInpainting, TextInpainting
from .masks import load_mask
from .observation import Observation
from .resampling import lanczos_downsample, pad_to_multiple
from .sources import PACKAGED
from .task import Task
from .tasks import Denoising, PoissonDenoising, SuperResolution, parse_task

__all__ = [
    "PACKAGED",
    "Denoising",
    "HoleInpainting",
    "Image",
    "Inpainting",
    "MaskInpainting",
    "Observation",
    "PoissonDenoising",
    "SuperResolution",
    "Task",
    "TextInpainting",
    "download",
    "lanczos_downsample",
    "load_image",
    "load_images",
    "load_mask",
    "load_observation",
    "pad_to_multiple",
    "parse_task",
    "save_image",
]
