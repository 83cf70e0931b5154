"""Document -> pieces that are exact slices of its pages, sized in tokens of the embedder."""
