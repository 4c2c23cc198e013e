"""What a model is: the genotypes of the search space, and the 522 published ones."""

from .isnas522 import ISNAS522
from .space import Genotype, mutate, neighbours, sample
from .strata import stratified

__all__ = ["ISNAS522", "Genotype", "mutate", "neighbours", "sample", "stratified"]
