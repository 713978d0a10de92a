import unittest

from greeting import greet


class GreetTest(unittest.TestCase):
    def test_a_name_is_greeted(self):
        self.assertEqual(greet("Ada"), "Hello, Ada")

    def test_without_a_name_the_world_is_greeted(self):
        self.assertEqual(greet(""), "Hello, world")


if __name__ == "__main__":
    unittest.main()
