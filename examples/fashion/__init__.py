"""Fashion-MNIST: pictures of clothes, 28 by 28, from Debian's package of them."""
