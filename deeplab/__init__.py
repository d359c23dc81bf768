"""The networks of the DeepLab papers, with the CRF as their last layer. Not here yet: densecrf comes first."""
